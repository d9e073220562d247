import fc from "fast-check";
import { expect, test } from "vitest";
import { DueHeap } from "../../src/registry/due-heap.ts";
import { checkProperty } from "../support/property.ts";

const operation = fc.record({
  slot: fc.nat(40),
  /** Null takes the slot out. Few distinct times, so that equals are common. */
  time: fc.option(fc.nat(6)),
});

test("the first slot is always the one that sorting by (time, slot) would put first", () => {
  checkProperty("due-heap", 300, fc.array(operation, { maxLength: 80, size: "max" }), (operations) => {
    const heap = new DueHeap((left, right) => left - right);
    const model = new Map<number, number>();
    for (const { slot, time } of operations) {
      if (time === null) {
        heap.delete(slot);
        model.delete(slot);
      } else {
        heap.set(slot, time);
        model.set(slot, time);
      }
      const sorted = [...model].sort((left, right) => left[1] - right[1] || left[0] - right[0]);
      expect(heap.size).toBe(model.size);
      expect(heap.first()).toBe(sorted[0]?.[0] ?? -1);
      expect(heap.has(slot)).toBe(model.has(slot));
    }
  });
});

test("slots come out in order, also far beyond the first size", () => {
  const heap = new DueHeap((left, right) => left - right);
  const count = 5_000;
  for (let i = 0; i < count; i += 1) heap.set(i, (i * 7_919) % count);
  const times: number[] = [];
  for (let slot = heap.first(); slot >= 0; slot = heap.first()) {
    times.push(heap.timeOf(slot));
    heap.delete(slot);
  }
  expect(times).toEqual(Array.from({ length: count }, (_, i) => i));
});
