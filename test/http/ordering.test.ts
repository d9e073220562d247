import fc from "fast-check";
import { expect, test } from "vitest";
import { ordered, Rotation, type OrderInput } from "../../src/http/ordering.ts";
import type { Instance } from "../../src/registry/model.ts";
import { aDeclaration, aKey } from "../support/commands.ts";
import { checkProperty } from "../support/property.ts";
import { seededRandom } from "../support/random.ts";

function anInstance(id: string, changes: Parameters<typeof aDeclaration>[0] = {}): Instance {
  const declared = aDeclaration(changes);
  return {
    ...aKey(id),
    incarnation: 1,
    revision: 1,
    session: null,
    declared,
    override: null,
    registeredAt: 0,
    suspect: false,
  };
}

const input = (changes: Partial<OrderInput>): OrderInput => ({
  order: "id",
  nearZone: null,
  turn: () => 0,
  random: seededRandom(7),
  ...changes,
});

test("every order keeps exactly the instances that it was given", () => {
  const list = fc.uniqueArray(
    fc.record({
      id: fc.integer({ min: 0, max: 1000 }),
      weight: fc.constantFrom(0, 1, 10_000),
      zone: fc.constantFrom(null, "z1", "z2"),
    }),
    { selector: ({ id }) => id, maxLength: 30 },
  );
  const order = fc.constantFrom("id", "random", "weighted", "roundRobin", "near") as fc.Arbitrary<
    OrderInput["order"]
  >;
  checkProperty(
    "test/http/ordering",
    300,
    fc.tuple(list, order, fc.nat(), fc.nat()),
    ([rows, asked, turn, seed]) => {
      const instances = rows.map(({ id, ...changes }) => anInstance(String(id), changes));
      const result = ordered(
        instances,
        input({ order: asked, nearZone: "z1", turn: () => turn, random: seededRandom(seed) }),
      );
      expect(new Set(result)).toEqual(new Set(instances));
      expect(result).toHaveLength(instances.length);
    },
  );
});

test("weighted order gives the first place by weight, within what chance allows", () => {
  const instances = [
    anInstance("a", { weight: 1 }),
    anInstance("b", { weight: 3 }),
    anInstance("c", { weight: 0 }),
  ];
  const random = seededRandom(42);
  const rounds = 8_000;
  const first: Record<string, number> = {};
  for (let i = 0; i < rounds; i += 1) {
    const [winner] = ordered(instances, input({ order: "weighted", random }));
    first[winner?.id ?? ""] = (first[winner?.id ?? ""] ?? 0) + 1;
  }
  expect(first["c"]).toBeUndefined();
  // Three quarters, within four standard deviations.
  const spread = 4 * Math.sqrt(rounds * 0.75 * 0.25);
  expect(Math.abs((first["b"] ?? 0) - rounds * 0.75)).toBeLessThan(spread);
});

test("the weight that counts is the one that everybody sees", () => {
  const layered = {
    ...anInstance("a"),
    override: { weight: 0, tags: null, status: null, reason: "x", endsAt: null },
  };
  for (let i = 0; i < 20; i += 1) {
    const list = ordered([layered, anInstance("b")], input({ order: "weighted", random: seededRandom(i) }));
    expect(list.map(({ id }) => id)).toEqual(["b", "a"]);
  }
});

test("a rotation remembers a bounded number of lists, and forgets the one not asked for longest", () => {
  const rotation = new Rotation();
  expect([rotation.turn("kept"), rotation.turn("kept"), rotation.turn("lost")]).toEqual([0, 1, 0]);
  for (let i = 0; i < 9_999; i += 1) {
    rotation.turn(`list ${i}`);
    if (i % 100 === 0) rotation.turn("kept");
  }
  expect(rotation.turn("lost")).toBe(0);
  expect(rotation.turn("kept")).toBeGreaterThan(100);
});
