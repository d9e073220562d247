/**
 * What became of a leader's attempts to hand over, and what follows for the next one.
 *
 * One that came about is followed by a long pause, so that members that are bad in turns do not hand leadership back and forth. One that
 * did not is no reason to stay slow for so long: it is tried again soon, with another successor first. But each attempt keeps
 * clients' writes waiting for up to an election timeout, so every further one that fails doubles the pause. Pure.
 */

import type { NodeId } from "../raft/types.ts";

/** After a hand-over that came about, or after so many that did not that it makes no difference. */
export const handOverPauseMs = 60_000;

/** After the first that did not, in shortest election timeouts. */
export const retryPauseTimeouts = 5;

/** A failure says something about a successor for so long. */
export const failuresKeptMs = 300_000;

/** How long ago the last attempt was, and how long ago it has to be. */
export interface Rest {
  readonly sinceMs: number;
  readonly pauseMs: number;
}

export class HandOverAttempts {
  readonly #retryPauseMs: number;
  #last: { readonly to: NodeId; readonly atMs: number; readonly hasFailed: boolean } | null = null;
  #failures: readonly { readonly to: NodeId; readonly atMs: number }[] = [];

  /** `electionMs`: a shortest election timeout. */
  constructor(electionMs: number) {
    this.#retryPauseMs = retryPauseTimeouts * electionMs;
  }

  begun(to: NodeId, nowMs: number): void {
    this.#last = { to, atMs: nowMs, hasFailed: false };
  }

  /** Any transfer ended without success. One that an operator asked for says nothing here, unless to the member of the last attempt. */
  aborted(to: NodeId, nowMs: number): void {
    if (this.#last?.to !== to || this.#last.hasFailed) return;
    this.#last = { to, atMs: nowMs, hasFailed: true };
    this.#failures = [...this.#recentFailures(nowMs), { to, atMs: nowMs }];
  }

  rest(nowMs: number): Rest {
    if (this.#last === null) return { sinceMs: Infinity, pauseMs: 0 };
    const sinceMs = nowMs - this.#last.atMs;
    if (!this.#last.hasFailed) return { sinceMs, pauseMs: handOverPauseMs };
    const doublings = Math.max(0, this.#recentFailures(this.#last.atMs).length - 1);
    return { sinceMs, pauseMs: Math.min(handOverPauseMs, this.#retryPauseMs * 2 ** doublings) };
  }

  /** The first successor that `judge` finds: among those that have failed least, then among more of them. */
  firstOf<T extends { readonly id: NodeId }>(
    candidates: readonly T[],
    nowMs: number,
    judge: (candidates: readonly T[]) => NodeId | null,
  ): NodeId | null {
    const failures = this.#recentFailures(nowMs);
    const countOf = ({ id }: T): number => failures.filter(({ to }) => to === id).length;
    const counts = [...new Set(candidates.map(countOf))].toSorted((a, b) => a - b);
    for (const most of counts) {
      const found = judge(candidates.filter((candidate) => countOf(candidate) <= most));
      if (found !== null) return found;
    }
    return null;
  }

  #recentFailures(nowMs: number): readonly { readonly to: NodeId; readonly atMs: number }[] {
    return this.#failures.filter(({ atMs }) => nowMs - atMs < failuresKeptMs);
  }
}
