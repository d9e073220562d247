import { expect, test } from "vitest";
import { type DiskFacts, judgeDisk, WriteTimes } from "../../src/replica/disk-rules.ts";

const limits = { diskSlowMs: 100, diskStallMs: 4_000 };
const others = [
  { id: "n2", ms: 50 },
  { id: "n3", ms: 10 },
];

const cases: readonly (readonly [what: string, facts: Partial<DiskFacts>, handOverTo: string | null])[] = [
  ["a fast disk stays", { writeMs: 99 }, null],
  ["a slow one makes way for the fastest", { writeMs: 100 }, "n3"],
  ["nothing known stays", { writeMs: null }, null],
  ["one of three times the speed is not worth it", { writeMs: 150, others: [{ id: "n2", ms: 50 }] }, null],
  ["one of four times the speed is", { writeMs: 200, others: [{ id: "n2", ms: 50 }] }, "n2"],
  ["nobody to hand over to", { writeMs: 200, others: [] }, null],
  ["nobody whose disk is known", { writeMs: 200, others: [{ id: "n2", ms: null }] }, null],
  ["not twice in a minute", { writeMs: 200, sinceMs: 59_999 }, null],
  ["again after a minute", { writeMs: 200, sinceMs: 60_000 }, "n3"],
  ["a write under way that takes long counts", { writeMs: 1, pendingMs: 150 }, "n3"],
  ["a hanging disk makes way", { pendingMs: 4_000, writeMs: 1 }, "n3"],
  ["also within a minute", { pendingMs: 4_000, sinceMs: 3_000 }, "n3"],
  [
    "also at once after a pause that is shorter than that",
    { pendingMs: 4_000, sinceMs: 1_000, pauseMs: 1_000 },
    "n3",
  ],
  ["but not at once again", { pendingMs: 4_000, sinceMs: 1_000 }, null],
  ["also for one whose disk is not known", { pendingMs: 4_000, others: [{ id: "n2", ms: null }] }, "n2"],
  ["not for one that hangs too", { pendingMs: 9_000, others: [{ id: "n2", ms: 5_000 }] }, null],
];

test.each(cases)("%s", (_what, facts, to) => {
  const all = { writeMs: null, pendingMs: 0, others, sinceMs: Infinity, pauseMs: 60_000, ...facts };
  expect(judgeDisk(all, limits)).toBe(to);
});

test("how long a write usually takes is the middle of the last nine, once there are nine", () => {
  const times = new WriteTimes();
  for (let i = 0; i < 8; i += 1) times.add(500);
  expect(times.usualMs).toBe(null);
  for (const ms of [1, 1, 1, 1]) times.add(ms);
  expect(times.usualMs).toBe(500);
  times.add(1);
  expect(times.usualMs).toBe(1);
});
