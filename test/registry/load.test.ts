import { expect, test } from "vitest";
import { Registry } from "../../src/registry/registry.ts";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { anEnvelope, Harness } from "./harness.ts";

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `i${i}`);

test("no records are a new registry", () => {
  const registry = Registry.load([]);
  expect(registry.revision).toBe(0);
  expect(registry.stateHash()).toBe(new Registry().stateHash());
});

test("renewals change a record for each block of 256 leases, and none for each instance", () => {
  const harness = new Harness();
  harness.entry(...many(1_000).map((id) => anEnvelope(register(id))));
  harness.save();
  harness.now = 1_000;
  harness.ok({ kind: "renew", handles: many(1_000).map((_, i) => i + 1) });
  const { puts, deletes } = harness.registry.takeChanges();
  expect(puts.map(([key]) => key).toSorted()).toEqual([
    "lease-block/0",
    "lease-block/1",
    "lease-block/2",
    "lease-block/3",
    "meta",
  ]);
  expect(deletes).toEqual([]);
});

test("a block of leases is recorded up to the last one that is held, and read back the same", () => {
  const harness = new Harness();
  harness.entry(...many(3).map((id) => anEnvelope(register(id))));
  harness.ok(deregister("i2"));
  harness.save();
  expect(harness.image.get("lease-block/0")).toHaveLength(2 * 3);
  const loaded = Registry.load(harness.image);
  expect(loaded.leaseCount).toBe(2);
  expect(loaded.deadline(aKey("i1"))).toBe(harness.registry.deadline(aKey("i1")));
  expect(loaded.stateHash()).toBe(harness.registry.stateHash());
});

test("changes that are read in parts are those of the moment when they were taken", () => {
  const [whole, inParts] = [new Harness(), new Harness()];
  const both = (...ids: readonly string[]): void => {
    for (const harness of [whole, inParts]) harness.entry(...ids.map((id) => anEnvelope(register(id))));
  };
  both(...many(300));
  for (const harness of [whole, inParts]) {
    harness.save();
    harness.entry(...many(100).map((id) => anEnvelope(deregister(id))));
  }
  both(...many(50));
  const taken = inParts.registry.beginTakingChanges();
  let parts = 1;
  let changes = taken.next(7);
  for (; changes === null; parts += 1) {
    inParts.entry(
      anEnvelope(register(`i${parts}`, { weight: 9 })),
      anEnvelope(deregister(`i${parts + 200}`)),
    );
    changes = taken.next(7);
  }
  expect(parts).toBeGreaterThan(50);
  expect(changes).toEqual(whole.registry.takeChanges());
});

test("what changes several times is one record, as it is when it is taken", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok({ ...renewOne("a"), status: "draining" });
  harness.ok(deregister("a"));
  harness.ok(register("a", { weight: 9 }));
  const { puts, deletes } = harness.registry.takeChanges();
  expect(puts.filter(([key]) => key === "instance/default/web/a")).toHaveLength(1);
  expect(deletes).toEqual([]);
  expect(harness.registry.takeChanges()).toEqual({ puts: [], deletes: [] });
});

test("an instance that is gone leaves no record of itself, and an empty block of leases none either", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.save();
  harness.ok(deregister("a"));
  harness.save();
  const keys = [...harness.image.keys()].map((key) => key.replace(/\d{16}$/, "N")).toSorted();
  expect(keys).toEqual([
    "event/N",
    "event/N",
    "history/default/web/N",
    "history/default/web/N",
    "meta",
    "service/default/web",
  ]);
});

test("freed lease slots are used again, the lowest first, so that blocks stay dense", () => {
  const harness = new Harness();
  harness.entry(...many(600).map((id) => anEnvelope(register(id))));
  harness.entry(...many(300).map((id) => anEnvelope(deregister(id))));
  harness.restart();
  harness.entry(...many(300).map((id) => anEnvelope(register(`new-${id}`))));
  harness.save();
  const blocks = [...harness.image.keys()].filter((key) => key.startsWith("lease-block/"));
  expect(blocks.toSorted()).toEqual(["lease-block/0", "lease-block/1", "lease-block/2"]);
});

test("leases go on after a restart: nothing is shortened, lengthened or expired at once", () => {
  const harness = new Harness();
  harness.ok(register("a", { ttlMs: 10_000 }));
  harness.now = 9_000;
  harness.ok(renewOne("a"));
  harness.restart();
  expect(harness.registry.clusterTime).toBe(9_000);
  expect(harness.registry.deadline(aKey("a"))).toBe(19_000);
  expect(harness.pass(9_999).expired).toBe(0);
  expect(harness.pass(1).expired).toBe(1);
});

test("records may come back in any order", () => {
  const harness = new Harness();
  for (let i = 0; i < 12; i += 1) harness.ok(register("a", { weight: i }));
  harness.save();
  const loaded = Registry.load(harness.records().toReversed());
  const query = { id: null, beforeRevision: null, limit: 99 };
  expect(loaded.history("default", "web", query)).toEqual(harness.registry.history("default", "web", query));
  expect(loaded.eventsSince(0)).toEqual(harness.registry.eventsSince(0));
  expect(loaded.stateHash()).toBe(harness.registry.stateHash());
});

/** Everything that a registry can hold, and more of each than one part of a load. */
function aFullRegistry(): Harness {
  const harness = new Harness();
  harness.entry(
    ...many(600).map((id) => anEnvelope(register(id, {}, `service-${id.length}-${id.slice(-1)}`))),
  );
  for (const id of many(50)) harness.ok(register(id), { idempotencyKey: `key-${id}` });
  for (const id of many(40)) harness.ok(deregister(id));
  for (const id of many(40)) harness.ok(register(id, {}, `empty-${id}`));
  for (const id of many(40)) harness.ok(deregister(id, `empty-${id}`));
  harness.save();
  return harness;
}

test("a registry that is loaded in parts is the one that was loaded at once, whatever the size of a part", () => {
  const harness = aFullRegistry();
  const whole = Registry.load(harness.packedRecords());
  for (const stepsMax of [1, 7, 1_000]) {
    const loading = Registry.beginLoading(harness.packedRecords());
    let loaded = loading.next(stepsMax);
    while (loaded === null) loaded = loading.next(stepsMax);
    expect(loaded.stateHash()).toBe(whole.stateHash());
    expect(loaded.eventsSince(0)).toEqual(whole.eventsSince(0));
    expect(loaded.nextDeadline()).toBe(whole.nextDeadline());
  }
});

test("one part of a load reads no more records than it has steps, and all parts together take a few for each", () => {
  const harness = aFullRegistry();
  const records = harness.packedRecords();
  let read = 0;
  function* counted(): Generator<(typeof records)[number]> {
    for (const record of records) {
      read += 1;
      yield record;
    }
  }
  const stepsMax = 20;
  const loading = Registry.beginLoading(counted());
  let parts = 1;
  for (let before = 0; loading.next(stepsMax) === null; parts += 1) {
    expect(read - before).toBeLessThanOrEqual(stepsMax);
    before = read;
  }
  expect(read).toBe(records.length);
  expect(parts).toBeGreaterThan(records.length / stepsMax);
  expect(parts).toBeLessThan((6 * records.length) / stepsMax);
});

type Damage = readonly [title: string, damage: (image: Map<string, unknown>) => void, message: string];

const damages: readonly Damage[] = [
  ["an unknown kind", (image) => image.set("future/x", []), "future/x"],
  ["no counters", (image) => image.delete("meta"), "meta"],
  ["a newer format", (image) => image.set("meta", [2, 0, 0, 0, 0, 0, []]), "version 2"],
  ["no service", (image) => image.delete("service/default/web"), "its service has no record"],
  ["no lease", (image) => image.delete("lease-block/0"), "its lease belongs to another"],
  [
    "a lease for two",
    (image) => image.set("instance/default/web/b", image.get("instance/default/web/a")),
    "b",
  ],
  ["half an instance", (image) => image.set("instance/default/web/a", [0, 0]), "default/web/a"],
];

test.each(damages)("an image with %s is refused, and the message says where", (_title, damage, message) => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.save();
  damage(harness.image);
  expect(() => Registry.load(harness.records())).toThrow(message);
});
