/**
 * When a member without a leader loses patience (paper §5.2), and whether it has heard a leader lately enough to refuse its vote to
 * others (thesis §4.2.3).
 *
 * There are two tempers. Silence is judged slowly: a random wait of one to two election timeouts. The loss of the leader's stream is
 * news, most often of its death, and is judged fast: the first attempt within 100 ms, the next ones 50 to 200 ms apart, for as long as
 * one election timeout. Members that still hear the leader refuse, so a single broken link disturbs nobody.
 */

import type { RaftConfig } from "./config.ts";

/** Waits after the leader's stream was lost, in milliseconds: the first attempt, and each one after a split vote. */
const streamLostWaitMs = { min: 0, max: 100 };
const splitVoteWaitMs = { min: 50, max: 200 };

const neverHeard = Number.MAX_SAFE_INTEGER;

export class ElectionTimer {
  readonly #config: RaftConfig;
  readonly #random: () => number;
  #elapsedTicks = 0;
  #timeoutTicks = 0;
  #ticksSinceLeader = neverHeard;
  /** Ticks for which failed attempts are still repeated quickly; 0 for the slow temper. */
  #urgentTicks = 0;

  constructor(config: RaftConfig, random: () => number) {
    this.#config = config;
    this.#random = random;
    this.restart();
  }

  /** Heard within the *minimum* election timeout: as long as that, no election can be legitimate. */
  get heardLeaderLately(): boolean {
    return this.#ticksSinceLeader < this.#config.electionTicks;
  }

  /** Waits anew. The wait is random, so that members seldom lose patience together and split the vote (paper §5.2). */
  restart(): void {
    const { electionTicks } = this.#config;
    this.restartWith(
      this.#urgentTicks > 0 ? this.#ticksWithin(splitVoteWaitMs) : electionTicks + this.#below(electionTicks),
    );
  }

  restartWith(ticks: number): void {
    this.#elapsedTicks = 0;
    this.#timeoutTicks = ticks;
  }

  heardLeader(): void {
    this.#ticksSinceLeader = 0;
    this.#urgentTicks = 0;
    this.restart();
  }

  /** Our vote went to somebody who is in a hurry already. */
  calmDown(): void {
    this.#urgentTicks = 0;
  }

  /** The leader stepped down, or this member did: nobody's authority is left to protect. */
  forgetLeader(): void {
    this.#ticksSinceLeader = neverHeard;
  }

  /** The leader's stream ended. */
  leaderLost(): void {
    this.forgetLeader();
    this.#urgentTicks = this.#config.electionTicks;
    this.restartWith(this.#ticksWithin(streamLostWaitMs));
  }

  /** Returns whether the wait is over. */
  tick(): boolean {
    this.#elapsedTicks += 1;
    if (this.#ticksSinceLeader < neverHeard) this.#ticksSinceLeader += 1;
    if (this.#urgentTicks > 0) this.#urgentTicks -= 1;
    return this.#elapsedTicks >= this.#timeoutTicks;
  }

  /** A random wait in ticks. The next tick is at any point between now and a whole tick away, so the range is met on average. */
  #ticksWithin({ min, max }: { min: number; max: number }): number {
    return 1 + Math.floor((min + this.#random() * (max - min)) / this.#config.tickMs);
  }

  /** A random integer in [0, limit). */
  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
