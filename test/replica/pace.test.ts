import { expect, test } from "vitest";
import { Pace } from "../../src/replica/pace.ts";

const tickMs = 50;

/** Runs checks, each after a turn so long after the one before it; returns how late the member then is. */
function lateAfter(pace: Pace, gapsMs: readonly number[], hasBacklog = false, fromMs = 1_000): number | null {
  let nowMs = fromMs;
  pace.turn(nowMs, hasBacklog);
  for (const gapMs of gapsMs) {
    nowMs += gapMs;
    pace.turn(nowMs, hasBacklog);
    pace.check();
  }
  return pace.lateMs;
}

test("nothing is known before five checks", () => {
  expect(lateAfter(new Pace(tickMs), [500, 500, 500, 500])).toBe(null);
  expect(lateAfter(new Pace(tickMs), [500, 500, 500, 500, 500])).toBe(450);
});

test("a loop that has its turns every tick is not late", () => {
  expect(lateAfter(new Pace(tickMs), [50, 50, 20, 50, 50])).toBe(0);
});

test("one long pause is not a habit, and one good second ends it", () => {
  expect(lateAfter(new Pace(tickMs), [50, 50, 5_000, 50, 50])).toBe(0);
  expect(lateAfter(new Pace(tickMs), [900, 900, 900, 900, 900, 50])).toBe(0);
});

test("of the turns between two checks the latest counts", () => {
  const pace = new Pace(tickMs);
  let nowMs = 0;
  for (let check = 0; check < 5; check += 1) {
    for (const gapMs of [50, 750, 50]) pace.turn((nowMs += gapMs), false);
    pace.check();
  }
  expect(pace.lateMs).toBe(700);
});

test("a turn says by how much it came late", () => {
  const pace = new Pace(tickMs);
  expect([pace.turn(7_000, false), pace.turn(7_030, false), pace.turn(7_330, false)]).toEqual([0, 0, 250]);
});

test("whoever has more to apply at every turn is as late as this has been so", () => {
  const gaps = Array.from({ length: 10 }, () => 50);
  expect(lateAfter(new Pace(tickMs), gaps, true)).toBe(300);
  expect(lateAfter(new Pace(tickMs), gaps, false)).toBe(0);
});
