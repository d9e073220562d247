/**
 * How a client reaches a member: over a connection that takes time, is refused when nobody is there, and breaks when the process ends.
 */

import type { NodeId } from "../../../src/raft/types.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Random } from "../random.ts";
import type { SimMember } from "../world/member.ts";

/** What came of a call: an answer, or none. `refused`: it never reached a member. `broken`: it did, and nobody knows what came of it. */
export type CallEnd<T> =
  | { readonly kind: "answer"; readonly answer: T }
  | { readonly kind: "refused" }
  | { readonly kind: "broken" };

export interface GatewayHooks {
  /** A call is handed to a member: an event of the run. */
  readonly called: (who: string, what: string, member: SimMember) => void;
}

export class Gateway {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #latencyMs: number;
  readonly #hooks: GatewayHooks;
  readonly #open = new Map<NodeId, Set<() => void>>();

  constructor(options: {
    readonly time: VirtualTime;
    readonly random: Random;
    readonly latencyMs: number;
    readonly hooks: GatewayHooks;
  }) {
    this.#time = options.time;
    this.#random = options.random;
    this.#latencyMs = options.latencyMs;
    this.#hooks = options.hooks;
  }

  /** `make` runs in the member's process and may answer then or later; `end` is called once. */
  call<T>(
    who: string,
    what: string,
    member: SimMember,
    limitMs: number,
    make: (answer: (answer: T) => void) => void,
    end: (end: CallEnd<T>) => void,
  ): void {
    let isOver = false;
    const finish = (result: CallEnd<T>): void => {
      if (isOver) return;
      isOver = true;
      this.#openAt(member).delete(breakOff);
      end(result);
    };
    const breakOff = (): void => this.#later(() => finish({ kind: "broken" }));
    this.#time.plan(limitMs, () => finish({ kind: "broken" }));
    this.#later(() => {
      const { process } = member;
      if (process === null || member.replica === null) return this.#later(() => finish({ kind: "refused" }));
      if (isOver) return;
      this.#openAt(member).add(breakOff);
      process.run(() => {
        this.#hooks.called(who, what, member);
        make((answer) => this.#later(() => finish({ kind: "answer", answer })));
      });
    });
  }

  /** The member's process ended, and with it all its connections. */
  breakAll(member: SimMember): void {
    for (const breakOff of this.#openAt(member)) breakOff();
  }

  #openAt({ id }: SimMember): Set<() => void> {
    const open = this.#open.get(id) ?? new Set();
    this.#open.set(id, open);
    return open;
  }

  #later(task: () => void): void {
    this.#time.plan(this.#random.exponential(this.#latencyMs), task);
  }
}
