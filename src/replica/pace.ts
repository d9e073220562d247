/**
 * Whether a member keeps up with its own work: how late the rounds of its loop come, and how long it has had more to apply than one round
 * can take. Neither shows in Raft itself: the heartbeats of a loop that is many times too slow still come in time, and followers that
 * acknowledge do not know what the leader has not applied. Pure.
 */

/** Somebody is late who was so at each of the last so many checks: one long collection of garbage is nobody's habit. */
const checks = 5;

export class Pace {
  readonly #tickMs: number;
  readonly #last: number[] = [];
  #turnMs = Infinity;
  #latestMs = 0;
  #caughtUpAtMs = -Infinity;

  /** `tickMs`: a loop that is free has a turn at least so often. */
  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** To be called in every turn. `hasBacklog`: whether entries wait that could be applied. Returns by how much the turn came late. */
  turn(nowMs: number, hasBacklog: boolean): number {
    const lateMs = Math.max(0, nowMs - this.#turnMs - this.#tickMs);
    if (!hasBacklog || this.#turnMs === Infinity) this.#caughtUpAtMs = nowMs;
    this.#turnMs = nowMs;
    this.#latestMs = Math.max(this.#latestMs, lateMs);
    return lateMs;
  }

  /** To be called now and then, in a turn. */
  check(): void {
    this.#last.push(Math.max(this.#latestMs, this.#turnMs - this.#caughtUpAtMs));
    if (this.#last.length > checks) this.#last.shift();
    this.#latestMs = 0;
  }

  /** By how much this member was late at every one of the last checks; null until there were enough. */
  get lateMs(): number | null {
    return this.#last.length < checks ? null : Math.min(...this.#last);
  }
}
