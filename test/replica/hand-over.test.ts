import { expect, test } from "vitest";
import { betterLeader, type Candidate } from "../../src/replica/hand-over.ts";

const bad = { ms: 400, badMs: 400, sinceMs: Infinity, pauseMs: 1_000 };
const good: Candidate = { id: "n2", ms: 100 };

const cases: readonly (readonly [
  what: string,
  own: Partial<typeof bad>,
  candidates: readonly Candidate[],
  to: string | null,
])[] = [
  ["a bad leader makes way for one that is four times better", {}, [good], "n2"],
  ["not for one that is a little less so", {}, [{ id: "n2", ms: 101 }], null],
  ["one that is not bad stays", { ms: 399 }, [{ id: "n2", ms: 0 }], null],
  ["nobody to make way for", {}, [], null],
  ["nobody of whom enough is known", {}, [{ id: "n2", ms: null }], null],
  ["the best is chosen", {}, [good, { id: "n3", ms: 99 }, { id: "n4", ms: null }], "n3"],
  ["of equals the first", {}, [good, { id: "n3", ms: 100 }], "n2"],
  ["not again before the pause is over", { sinceMs: 999 }, [good], null],
  ["again after it", { sinceMs: 1_000 }, [good], "n2"],
];

test.each(cases)("%s", (_what, own, candidates, to) => {
  expect(betterLeader({ ...bad, ...own }, candidates)).toBe(to);
});
