/** When a leader tries again to hand over, and to whom first. */

import { expect, test } from "vitest";
import { failuresKeptMs, HandOverAttempts, handOverPauseMs } from "../../src/replica/hand-over-attempts.ts";

/** Five of these are the first pause. */
const electionMs = 1_000;

const successors = [{ id: "n2" }, { id: "n3" }, { id: "n4" }];
const best = (candidates: readonly { readonly id: string }[]): string | null => candidates[0]?.id ?? null;

test("the first attempt waits for nothing, and the next one after it came about for a minute", () => {
  const attempts = new HandOverAttempts(electionMs);
  const { sinceMs, pauseMs } = attempts.rest(0);
  expect(sinceMs).toBeGreaterThan(pauseMs);
  attempts.begun("n2", 100);
  expect(attempts.rest(700)).toEqual({ sinceMs: 600, pauseMs: handOverPauseMs });
});

test("after one that did not come about it is tried soon, and after each further one half as soon, up to a minute", () => {
  const attempts = new HandOverAttempts(electionMs);
  const pauses = [0, 1, 2, 3, 4, 5].map((attempt) => {
    attempts.begun("n2", attempt * 1_000);
    attempts.aborted("n2", attempt * 1_000 + 500);
    return attempts.rest(attempt * 1_000 + 700);
  });
  expect(pauses.map(({ pauseMs }) => pauseMs)).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  expect(pauses.map(({ sinceMs }) => sinceMs)).toEqual([200, 200, 200, 200, 200, 200]);
});

test("those come first that have failed least, until their failures are long ago", () => {
  const attempts = new HandOverAttempts(electionMs);
  const tried = [0, 1, 2, 3].map((nowMs) => {
    const to = attempts.firstOf(successors, nowMs, best)!;
    attempts.begun(to, nowMs);
    attempts.aborted(to, nowMs);
    return to;
  });
  expect(tried).toEqual(["n2", "n3", "n4", "n2"]);
  expect(attempts.firstOf(successors, 4, best)).toBe("n3");
  expect(attempts.firstOf(successors, 3 + failuresKeptMs, best)).toBe("n2");
});

test("one that failed is taken all the same where nobody else will do", () => {
  const attempts = new HandOverAttempts(electionMs);
  attempts.begun("n3", 0);
  attempts.aborted("n3", 0);
  const onlyN3 = (candidates: readonly { readonly id: string }[]): string | null =>
    candidates.find(({ id }) => id === "n3")?.id ?? null;
  expect(attempts.firstOf(successors, 1, onlyN3)).toBe("n3");
  expect(attempts.firstOf(successors, 1, () => null)).toBe(null);
});

test("a transfer that somebody else asked for says nothing", () => {
  const attempts = new HandOverAttempts(electionMs);
  attempts.aborted("n2", 0);
  expect(attempts.rest(1)).toEqual({ sinceMs: Infinity, pauseMs: 0 });
  attempts.begun("n2", 10);
  attempts.aborted("n3", 20);
  expect(attempts.rest(30)).toEqual({ sinceMs: 20, pauseMs: handOverPauseMs });
});
