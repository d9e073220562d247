/**
 * How old this member's state can be, at most.
 *
 * Whoever has applied `index` knows all that was committed at `asOfMs`. Such pairs come from heartbeats, which carry the leader's
 * commit index and the age of its leadership's last proof, and on a leader from its own confirmed rounds. A pair counts once its
 * index is applied; it stays true for ever, also under later leaders, and only grows older.
 */

import type { Index } from "./types.ts";

/** What a staleness is when nothing is known. Fits a signed 32-bit integer, so that it survives any header or protocol. */
export const stalenessUnknownMs = 2_147_483_647;

/** Pairs that wait for the state machine. When it lags behind more than these, precision suffers, not correctness. */
const pendingMax = 64;

interface Knowledge {
  readonly index: Index;
  readonly asOfMs: number;
}

export class Staleness {
  /** When the applied state was last known to be complete; null for never. */
  #asOfMs: number | null = null;
  /** In order of arrival. */
  #pending: Knowledge[] = [];

  /** Learns that all that was committed at `asOfMs` is in the log up to `index`. */
  learn(knowledge: Knowledge, appliedIndex: Index): void {
    if (this.#pending.length === pendingMax) this.#pending.pop();
    this.#pending.push(knowledge);
    this.applied(appliedIndex);
  }

  applied(appliedIndex: Index): void {
    for (const { index, asOfMs } of this.#pending) {
      if (index <= appliedIndex) this.#asOfMs = Math.max(this.#asOfMs ?? asOfMs, asOfMs);
    }
    this.#pending = this.#pending.filter(({ index }) => index > appliedIndex);
  }

  /** Milliseconds, rounded up; `stalenessUnknownMs` before anything is known. */
  at(nowMs: number): number {
    if (this.#asOfMs === null) return stalenessUnknownMs;
    return Math.min(Math.max(Math.ceil(nowMs - this.#asOfMs), 0), stalenessUnknownMs);
  }
}
