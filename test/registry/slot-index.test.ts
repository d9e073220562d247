import fc from "fast-check";
import { expect, test } from "vitest";
import { SlotIndex } from "../../src/registry/slot-index.ts";
import { checkProperty } from "../support/property.ts";

test("it finds what a map would find, whatever comes and goes", () => {
  // Few handles, also beyond 32 bits, so that they meet; more slots than the smallest table holds.
  const handle = fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 200 }).map((n) => n * 2 ** 32),
  );
  const step = fc.record({ slot: fc.nat(199), handle, isDelete: fc.boolean() });
  checkProperty("slot-index", 300, fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
    const handles: number[] = [];
    const index = new SlotIndex((slot) => handles[slot] ?? 0);
    const slots = new Map<number, number>();
    for (const { slot, handle: wanted, isDelete } of steps) {
      const present = handles[slot] ?? 0;
      if (present !== 0) {
        index.delete(slot);
        slots.delete(present);
        handles[slot] = 0;
      }
      if (!isDelete && !slots.has(wanted)) {
        handles[slot] = wanted;
        index.add(slot);
        slots.set(wanted, slot);
      }
      expect(index.count).toBe(slots.size);
    }
    for (const one of [...slots.keys(), ...steps.map((each) => each.handle)])
      expect(index.find(one)).toBe(slots.get(one) ?? -1);
  });
});

test("it grows with what is in it, and deleting what is not there changes nothing", () => {
  const index = new SlotIndex((slot) => 1 + slot * 3);
  for (let slot = 0; slot < 10_000; slot += 1) index.add(slot);
  for (let slot = 0; slot < 10_000; slot += 2) index.delete(slot);
  index.delete(0);
  expect(index.count).toBe(5_000);
  for (let slot = 0; slot < 10_000; slot += 1)
    expect(index.find(1 + slot * 3)).toBe(slot % 2 === 0 ? -1 : slot);
});
