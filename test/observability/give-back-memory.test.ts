import { expect, test } from "vitest";
import { collectedAtOnceMax, giveBackMemory } from "../../src/observability/give-back-memory.ts";
import { waitFor } from "../support/wait-for.ts";

test("memory that nobody needs any more is collected at once, and gone", () => {
  const before = makeGarbage();
  giveBackMemory(collectedAtOnceMax);
  expect(process.memoryUsage().heapUsed).toBeLessThan(before - 40_000_000);
});

test("a member with more instances than that is not held up for it: it is gone a little later", async () => {
  const before = makeGarbage();
  giveBackMemory(collectedAtOnceMax + 1);
  const after = await waitFor(
    () => {
      const { heapUsed } = process.memoryUsage();
      return heapUsed < before - 40_000_000 && heapUsed;
    },
    { what: "the garbage is gone" },
  );
  expect(after).toBeLessThan(before);
});

/** Returns how much memory there was with it. */
function makeGarbage(): number {
  const kept = Array.from({ length: 200 }, () => Array<number>(50_000).fill(0));
  const { heapUsed } = process.memoryUsage();
  expect(kept.length).toBe(200);
  return heapUsed;
}
