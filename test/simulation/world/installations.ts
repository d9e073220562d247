/** What came in between while members installed images: without it, a run shows nothing of an installation that takes many turns. */

import type { Index, Term } from "../../../src/raft/types.ts";
import type { SimMember } from "./member.ts";
import type { SimProcess } from "./process.ts";

interface Installation {
  readonly process: SimProcess | null;
  readonly term: Term;
  readonly appliedIndex: Index;
}

export class Installations {
  readonly #open = new Map<SimMember, Installation>();

  /** It has all of an image. */
  received(member: SimMember): void {
    const { core, process } = member;
    if (core === null) return;
    this.#open.set(member, { process, term: core.term, appliedIndex: member.appliedIndex });
  }

  /** To be called once it is done. Whether another term began in between. */
  installed(member: SimMember): boolean {
    return (member.core?.term ?? 0) > (this.#end(member)?.term ?? Infinity);
  }

  /** To be called before its process ends. Whether that ended an installation, and not a wait for the log that has caught up meanwhile. */
  crashing(member: SimMember): boolean {
    return this.#end(member)?.appliedIndex === member.appliedIndex;
  }

  /** Null when none is under way: one that came to nothing stays behind with its process. */
  #end(member: SimMember): Installation | null {
    const begun = this.#open.get(member);
    this.#open.delete(member);
    return begun?.process === member.process ? (begun ?? null) : null;
  }
}
