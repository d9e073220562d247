import { expect, test } from "vitest";
import { registryLimits } from "../../src/registry/model.ts";
import { aKey, deregister, register } from "../support/commands.ts";
import { anEnvelope, Harness } from "./harness.ts";

/** Each instance in a service of its own, so that protection has no say. */
function alone(id: string, ttlMs = 30_000): ReturnType<typeof register> {
  return register(id, { ttlMs }, `service-${id}`);
}

test("an instance goes at its deadline and not a millisecond before", () => {
  const harness = new Harness();
  harness.ok(register("a", { ttlMs: 5_000 }));
  expect(harness.pass(4_999)).toMatchObject({ expired: 0, suspected: 0 });
  expect(harness.ids()).toEqual(["a"]);
  expect(harness.pass(1).expired).toBe(1);
  expect(harness.ids()).toEqual([]);
  expect(harness.events).toEqual([{ type: "delete", revision: 2, reason: "expired", ...aKey("a") }]);
});

test("time alone removes nothing: only an expire command does", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.registry.advance(1_000_000, false);
  expect(harness.registry.clusterTime).toBe(1_000_000);
  expect(harness.registry.instanceCount).toBe(1);
});

test("what is due goes in order of (deadline, incarnation)", () => {
  const harness = new Harness();
  harness.ok(alone("late", 9_000));
  harness.ok(alone("b", 5_000));
  harness.ok(alone("first", 2_000));
  harness.ok(alone("c", 5_000));
  harness.pass(10_000);
  expect(harness.events.map((event) => (event.type === "delete" ? event.id : event.type))).toEqual([
    "first",
    "b",
    "c",
    "late",
  ]);
});

test("equal deadlines go by incarnation, also when the slots of the leases say otherwise", () => {
  const harness = new Harness();
  for (const id of ["a", "b", "c"]) harness.ok(alone(id));
  harness.ok({ ...alone("a"), session: "s2" });
  harness.ok({ ...deregister("b"), service: "service-b" });
  harness.ok(alone("d"));
  harness.pass(30_000);
  expect(harness.events.map((event) => (event.type === "delete" ? event.id : event.type))).toEqual([
    "c",
    "a",
    "d",
  ]);
});

test("one entry removes a bounded number, and the next one the rest", () => {
  const harness = new Harness();
  const { expiriesPerEntry } = registryLimits;
  const more = 7;
  harness.entry(...Array.from({ length: expiriesPerEntry + more }, (_, i) => anEnvelope(alone(`i${i}`))));
  expect(harness.pass(30_000).expired).toBe(expiriesPerEntry);
  expect(harness.registry.nextDeadline()).toBe(30_000);
  expect(harness.pass(0).expired).toBe(more);
  expect(harness.registry.nextDeadline()).toBeNull();
});

test("a lease and the end of an override at the same time: the lease first", () => {
  const harness = new Harness();
  harness.ok(alone("a", 5_000));
  harness.ok(alone("b"));
  const layer = { weight: 0, tags: null, status: null, reason: "why", endsInMs: 5_000 };
  for (const id of ["a", "b"]) {
    harness.ok({ kind: "setOverride", ...aKey(id, `service-${id}`), layer });
  }
  expect(harness.pass(5_000).expired).toBe(1);
  expect(harness.events.map((event) => event.type)).toEqual(["delete", "put"]);
});

test("the next deadline follows registrations, renewals and departures", () => {
  const harness = new Harness();
  expect(harness.registry.nextDeadline()).toBeNull();
  const a = harness.ok(alone("a", 5_000)).instance.incarnation;
  harness.ok(alone("b", 8_000));
  expect(harness.registry.nextDeadline()).toBe(5_000);
  harness.now = 4_000;
  harness.ok({ kind: "renew", handles: [a] });
  expect(harness.registry.nextDeadline()).toBe(8_000);
  harness.ok({ ...deregister("b"), service: "service-b" });
  expect(harness.registry.nextDeadline()).toBe(9_000);
});

test("cluster time that goes back is a defect and is not survived", () => {
  const harness = new Harness();
  harness.registry.advance(10, false);
  expect(() => harness.registry.advance(9, false)).toThrow("cluster time went back from 10 to 9");
});

test("an empty service keeps its revision for 24 hours; then an unknown one reports the highest forgotten", () => {
  const harness = new Harness();
  harness.ok(register("a", {}, "gone"));
  harness.ok({ ...deregister("a"), service: "gone" });
  harness.ok(register("b", { ttlMs: registryLimits.ttlMsMax }, "stays"));
  expect(harness.registry.service("default", "gone")).toMatchObject({ revision: 2, instances: { total: 0 } });
  expect(harness.registry.service("default", "never")).toMatchObject({ revision: 0 });

  harness.pass(registryLimits.emptyServiceKeptMs - 1);
  expect(harness.registry.services("default", { prefix: "", after: null, limit: 9 })).toHaveLength(2);
  harness.pass(1);
  expect(harness.registry.services("default", { prefix: "", after: null, limit: 9 })).toMatchObject([
    { name: "stays" },
  ]);
  for (const name of ["gone", "never"]) {
    expect(harness.registry.service("default", name).revision).toBe(2);
  }
  expect(harness.registry.history("default", "gone", { id: null, beforeRevision: null, limit: 9 })).toEqual(
    [],
  );
});

test("a service that became empty before a restart is forgotten after it, with all its records", () => {
  const harness = new Harness();
  harness.ok(register("a", {}, "gone"));
  harness.ok({ ...deregister("a"), service: "gone" });
  harness.restart();
  harness.pass(registryLimits.emptyServiceKeptMs);
  harness.save();
  expect([...harness.image.keys()].filter((key) => key.includes("gone"))).toEqual([]);
  expect(harness.registry.namespaces()).toEqual([]);
});

test("an entry forgets a bounded number of services, the longest empty first", () => {
  const harness = new Harness();
  const { tidiedPerEntry, emptyServiceKeptMs } = registryLimits;
  const names = Array.from({ length: tidiedPerEntry + 2 }, (_, i) => `s${i}`);
  harness.entry(...names.map((name) => anEnvelope(register("a", {}, name))));
  harness.entry(...names.map((service) => anEnvelope({ ...deregister("a"), service })));
  harness.restart();
  harness.pass(emptyServiceKeptMs);
  const left = harness.registry.services("default", { prefix: "", after: null, limit: 9 });
  expect(left.map(({ name }) => name)).toEqual(names.slice(tidiedPerEntry));
});

test("a service that is used again is not forgotten", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok(deregister("a"));
  harness.pass(registryLimits.emptyServiceKeptMs - 1);
  harness.ok(register("a"));
  harness.ok(deregister("a"));
  harness.pass(registryLimits.emptyServiceKeptMs - 1);
  expect(harness.registry.services("default", { prefix: "", after: null, limit: 9 })).toHaveLength(1);
});
