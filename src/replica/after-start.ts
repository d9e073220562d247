/** What a member does once, when its start is over. */

import { flushCompileCache } from "node:module";
import { giveBackMemory } from "../observability/give-back-memory.ts";

interface StartedMember {
  readonly isStarting: boolean;
  readonly isLeader: boolean;
  readonly status: { readonly membership: { readonly voters: readonly string[] } };
  readonly registry: { readonly instanceCount: number };
}

export interface AfterStartWork {
  /** Where Node keeps what it has compiled, it does so at its end: a member that is killed would keep nothing for its next start. */
  readonly keepCode: () => void;
  readonly giveBackMemory: (instances: number) => void;
}

export class AfterStart {
  readonly #member: StartedMember;
  readonly #work: AfterStartWork;
  #phase: "starting" | "leading" | "over" = "starting";

  constructor(member: StartedMember, work: AfterStartWork = { keepCode: flushCompileCache, giveBackMemory }) {
    this.#member = member;
    this.#work = work;
  }

  tick(): void {
    if (this.#phase === "over" || this.#member.isStarting) return;
    if (this.#phase === "starting") this.#work.keepCode();
    this.#phase = leadsOthers(this.#member) ? "leading" : "over";
    if (this.#phase === "over") this.#work.giveBackMemory(this.#member.registry.instanceCount);
  }
}

/** Whether what holds this member up holds others up as well. */
function leadsOthers({ isLeader, status }: StartedMember): boolean {
  return isLeader && status.membership.voters.length > 1;
}
