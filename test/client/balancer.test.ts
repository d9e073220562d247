import { expect, test } from "vitest";
import { Balancer, type BalancerOptions } from "../../src/client/balancer.ts";
import type { Instance } from "../../src/client/types.ts";
import { HandClock } from "../support/hand-clock.ts";
import { anInstance } from "../support/client-instance.ts";

const abc = ["a", "b", "c"].map((id) => anInstance({ id }));

function balancer(options: BalancerOptions, random: () => number = () => 0) {
  const clock = new HandClock();
  return { clock, balancer: new Balancer(options, clock, random) };
}

function picks(from: Balancer, count: number, instances: readonly Instance[] = abc): string {
  return Array.from({ length: count }, () => from.pick(instances)?.id).join("");
}

test("round robin takes its turns", () => {
  expect(picks(balancer({ policy: "roundRobin" }).balancer, 7)).toBe("bcabcab");
});

test("clients that start together do not all begin with the same instance", () => {
  const first = (draw: number): string =>
    picks(balancer({ policy: "roundRobin" }, () => draw / 2 ** 20).balancer, 1);
  expect([first(0), first(1), first(2)]).toEqual(["b", "c", "a"]);
});

test("least pending is round robin for one request at a time", () => {
  expect(picks(balancer({ policy: "leastPending" }).balancer, 6)).toBe("bcabca");
});

test("least pending leaves out those with more requests under way", () => {
  const { balancer: one } = balancer({ policy: "leastPending" });
  const [a, b] = abc as [Instance, Instance];
  one.started(a);
  one.started(b);
  expect(picks(one, 3)).toBe("ccc");
  one.finished(b, false);
  expect(picks(one, 4)).toBe("bcbc");
});

test("random follows the draw", () => {
  const draws = [0, 0.34, 0.99, 0.1];
  const { balancer: one } = balancer({ policy: "random" }, () => draws.pop() ?? 0);
  expect(picks(one, 3)).toBe("cba");
});

test("weighted picks in proportion, and never a weight of 0", () => {
  let draw = 0;
  const { balancer: one } = balancer({ policy: "weighted" }, () => draw);
  const weighted = [
    anInstance({ id: "a", weight: 0 }),
    anInstance({ id: "b", weight: 30 }),
    anInstance({ id: "c", weight: 10 }),
  ];
  const counts = new Map<string, number>();
  for (let i = 0; i < 1_000; i += 1) {
    draw = i / 1_000;
    const id = one.pick(weighted)?.id ?? "nobody";
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  expect(Object.fromEntries(counts)).toEqual({ b: 750, c: 250 });
  expect(one.pick([anInstance({ weight: 0 })])).toBeUndefined();
});

test("an instance that failed is left out for a second, then for two, and at most for 30", async () => {
  const { clock, balancer: one } = balancer({ policy: "roundRobin" });
  const [a] = abc as [Instance];
  const ejectedFor: number[] = [];
  for (let i = 0; i < 7; i += 1) {
    one.finished(a, true);
    let ms = 0;
    for (; one.ejected(abc).length > 0; ms += 500) await clock.advance(500);
    ejectedFor.push(ms);
  }
  expect(ejectedFor).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("many requests that fail together are one failure", async () => {
  const { clock, balancer: one } = balancer({ policy: "roundRobin" });
  const [a] = abc as [Instance];
  for (let i = 0; i < 50; i += 1) one.finished(a, true);
  expect(picks(one, 4)).toBe("cbcb");
  await clock.advance(1_000);
  expect(picks(one, 3)).toContain("a");
});

test("a success clears the record", () => {
  const { balancer: one } = balancer({ policy: "roundRobin" });
  const [a] = abc as [Instance];
  one.finished(a, true);
  one.finished(a, false);
  expect(one.ejected(abc)).toEqual([]);
});

test("when all have failed, any is better than none", () => {
  const { balancer: one } = balancer({ policy: "roundRobin" });
  for (const instance of abc) one.finished(instance, true);
  expect(picks(one, 3)).toBe("bca");
});

test("a new incarnation starts with a clean record", () => {
  const { balancer: one } = balancer({ policy: "roundRobin" });
  one.finished(anInstance({ id: "a", incarnation: 1 }), true);
  expect(one.ejected([anInstance({ id: "a", incarnation: 2 })])).toEqual([]);
});

test("the own zone comes first, as long as one of it works", () => {
  const { balancer: one } = balancer({ policy: "roundRobin", preferZone: "z1" });
  const zoned = [anInstance({ id: "a", zone: "z1" }), anInstance({ id: "b", zone: "z2" })];
  expect(picks(one, 3, zoned)).toBe("aaa");
  one.finished(zoned[0] as Instance, true);
  expect(picks(one, 3, zoned)).toBe("bbb");
});

test("what was tried is avoided, until nobody is left", () => {
  const { balancer: one } = balancer({ policy: "roundRobin" });
  expect(one.pick(abc, new Set(["b", "c"]))?.id).toBe("a");
  expect(one.pick(abc, new Set(["a", "b", "c"]))).toBeUndefined();
});
