/**
 * Leader only: proposes an `expire` entry when the cluster clock has passed the next deadline. What is due is decided by the state machine
 * when the entry is applied, so a proposal that comes too early, twice, or from a deposed leader removes nothing that it should not.
 */

import type { Command } from "../registry/commands.ts";

export interface ExpiryOptions {
  /** The cluster time at which something is due next; null for never. */
  readonly nextDeadline: () => number | null;
  readonly isLeader: () => boolean;
  /** What a stamp would be now, by this leader's clock. */
  readonly clusterTime: () => number;
  readonly submit: (command: Command, end: () => void) => void;
}

export class Expiry {
  readonly #options: ExpiryOptions;
  #isUnderWay = false;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  tick(): void {
    if (this.#isUnderWay || !this.#options.isLeader()) return;
    const deadline = this.#options.nextDeadline();
    if (deadline === null || deadline > this.#options.clusterTime()) return;
    this.#isUnderWay = true;
    this.#options.submit({ kind: "expire" }, () => {
      this.#isUnderWay = false;
    });
  }
}
