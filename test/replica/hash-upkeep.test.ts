import { expect, test } from "vitest";
import {
  type HashedState,
  isHashNear,
  keepHashUp,
  settledPerTurn,
  unsettledInReplay,
  unsettledKept,
  unsettledMax,
} from "../../src/replica/hash-upkeep.ts";

/** A state of which so many records have changed. */
function stateOf(changed: number): HashedState {
  let left = changed;
  return { settleHash: (recordsMax) => (left -= Math.min(left, recordsMax)) };
}

test.each([
  { isReplaying: false, kept: unsettledKept },
  { isReplaying: true, kept: unsettledInReplay },
])("up to $kept changed records gather when a replay is under way: $isReplaying", ({ isReplaying, kept }) => {
  const few = stateOf(kept);
  keepHashUp(few, isReplaying);
  expect(few.settleHash(0)).toBe(kept);

  const many = stateOf(kept + 1);
  keepHashUp(many, isReplaying);
  expect(many.settleHash(0)).toBe(Math.max(0, kept + 1 - settledPerTurn));
});

test("more than a turn can do asks for another turn, until the hash is near", () => {
  const state = stateOf(unsettledMax + 2 * settledPerTurn);
  expect(keepHashUp(state, false)).toBe(true);
  expect(keepHashUp(state, false)).toBe(false);
  expect(isHashNear(state)).toBe(true);
  expect(keepHashUp(stateOf(unsettledInReplay), true)).toBe(false);
});

test("a hash that is further than so many records away is not asked for", () => {
  expect(isHashNear(stateOf(unsettledMax))).toBe(true);
  expect(isHashNear(stateOf(unsettledMax + 1))).toBe(false);
});
