import fc from "fast-check";
import { expect, test } from "vitest";
import { sortInSteps } from "../../src/registry/sort-in-steps.ts";
import { checkProperty } from "../support/property.ts";

interface Item {
  readonly value: number;
  readonly place: number;
}

function itemsOf(values: readonly number[]): Item[] {
  return values.map((value, place) => ({ value, place }));
}

const byValue = (left: Item, right: Item): number => left.value - right.value;

test("a list that is sorted in steps is what the runtime makes of it, equals in their order", () => {
  const values = fc.array(fc.nat(300), { maxLength: 600, size: "max" });
  checkProperty("sort-in-steps", 200, values, (drawn) => {
    const items = itemsOf(drawn);
    for (const _ of sortInSteps(items, byValue));
    expect(items).toEqual(itemsOf(drawn).sort(byValue));
  });
});

test("no step compares more than a few items, however long the list is", () => {
  const items = itemsOf(Array.from({ length: 20_000 }, (_, i) => (i * 7_919) % 20_000));
  let compared = 0;
  let most = 0;
  const compare = (left: Item, right: Item): number => {
    compared += 1;
    return byValue(left, right);
  };
  for (const _ of sortInSteps(items, compare)) {
    most = Math.max(most, compared);
    compared = 0;
  }
  expect(most).toBeLessThan(32 * 32);
  expect(items.map(({ value }) => value)).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
});
