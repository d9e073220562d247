import { expect, test } from "vitest";
import { giveBackMemory, givenBackInstancesMax } from "../../src/observability/give-back-memory.ts";

test("memory that nobody needs any more is collected at once, and gone", () => {
  let kept: number[][] | null = Array.from({ length: 200 }, () => Array<number>(50_000).fill(0));
  const before = process.memoryUsage().heapUsed;
  expect(kept.length).toBe(200);
  kept = null;
  expect(giveBackMemory(givenBackInstancesMax)).toBe(true);
  expect(process.memoryUsage().heapUsed).toBeLessThan(before - 40_000_000);
});

test("a member with more instances than that is not held up for it", () => {
  expect(giveBackMemory(givenBackInstancesMax + 1)).toBe(false);
});
