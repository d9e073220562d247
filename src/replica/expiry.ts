/**
 * Leader only: proposes an `expire` entry when the cluster clock has passed the next deadline. What is due is decided by the state machine
 * when the entry is applied, so a proposal that comes too early, twice, or from a deposed leader removes nothing that it should not.
 *
 * It waits neither in the queue of clients' writes nor for room among what is uncommitted: the clock goes on in an overloaded cluster,
 * and what it has passed must go. At most one is waited for at a time, so no more of them are undecided than of the clock's own entries.
 */

import type { Command } from "../registry/commands.ts";

export interface ExpiryOptions {
  /** The cluster time at which something is due next; null for never. */
  readonly nextDeadline: () => number | null;
  readonly isLeader: () => boolean;
  /** What a stamp would be now, by this leader's clock. */
  readonly clusterTime: () => number;
  /** Ends when the entry is applied, refused, or not decided in `expireWaitMs`. */
  readonly propose: (command: Command, end: (isApplied: boolean) => void) => void;
  /** Asks for another turn. */
  readonly wake: () => void;
}

/**
 * An `expire` that this member has not applied in this time is proposed anew: at most so often while nothing is committed, or nothing can be
 * applied here because this disk hangs. As often as the clock writes entries, so that what is due is late by one of these at most.
 */
export const expireWaitMs = 1_000;

export class Expiry {
  readonly #options: ExpiryOptions;
  #isUnderWay = false;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** Once a turn. One that is refused is tried again in the next, and must not be what causes it. */
  tick(): void {
    if (this.#isUnderWay || !this.#options.isLeader()) return;
    const deadline = this.#options.nextDeadline();
    if (deadline === null || deadline > this.#options.clusterTime()) return;
    this.#isUnderWay = true;
    this.#options.propose({ kind: "expire" }, (isApplied) => {
      this.#isUnderWay = false;
      // One entry removes a bounded number, and more may be due.
      if (isApplied) this.#options.wake();
    });
  }
}
