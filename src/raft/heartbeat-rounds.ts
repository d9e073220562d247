/**
 * Numbered heartbeat rounds. When a quorum has answered a round, this member was the leader at the moment it *sent* that round, and its
 * commit index then covered everything that anybody had been told was committed: the proof behind reads and staleness (thesis §6.4).
 */

import type { Index } from "./types.ts";

/** Unanswered rounds that are remembered. A leader that gets no answers steps down long before. */
const unconfirmedMax = 1024;

interface Round {
  readonly number: number;
  readonly sentAtMs: number;
  readonly commitIndex: Index;
  /** False while no entry of our term is committed: then we may not know of everything that is. */
  readonly isProof: boolean;
}

export class HeartbeatRounds {
  #newest = 0;
  #confirmed = 0;
  /** Rounds that no quorum has answered, oldest first. */
  #unconfirmed: Round[] = [];
  #provenAtMs: number | null = null;

  get newest(): number {
    return this.#newest;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** When the newest round was sent that a quorum answered and that proves something; null before any. */
  get provenAtMs(): number | null {
    return this.#provenAtMs;
  }

  start(round: Omit<Round, "number">): number {
    this.#newest += 1;
    if (this.#unconfirmed.length === unconfirmedMax) this.#unconfirmed.shift();
    this.#unconfirmed.push({ ...round, number: this.#newest });
    return this.#newest;
  }

  /** A quorum has answered rounds up to `number`. Returns the newest proof among them, if there is news. */
  confirm(number: number): Round | null {
    if (number <= this.#confirmed) return null;
    this.#confirmed = number;
    const proof = this.#unconfirmed.findLast((round) => round.number <= number && round.isProof) ?? null;
    this.#unconfirmed = this.#unconfirmed.filter((round) => round.number > number);
    if (proof !== null) this.#provenAtMs = proof.sentAtMs;
    return proof;
  }
}
