import { expect, test } from "vitest";
import type { PresenceChange } from "../../src/registry/commands.ts";
import { registryLimits } from "../../src/registry/model.ts";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { anEnvelope, Harness } from "./harness.ts";

const hour = 3_600_000;

function withInstances(count: number): Harness {
  const harness = new Harness();
  const ids = Array.from({ length: count }, (_, i) => `i${i}`);
  harness.entry(...ids.map((id) => anEnvelope(register(id, { ttlMs: hour }))));
  return harness;
}

function presence(
  harness: Harness,
  ids: readonly string[],
  more: Partial<PresenceChange> = {},
): PresenceChange {
  const instances = ids.map((id) => ({ ...aKey(id), incarnation: harness.find(aKey(id)).incarnation }));
  return { kind: "presence", change: "attach", instances, connection: 0, lingerMs: 2_000, ...more };
}

test("attaching is no visible change, renews, and draws a higher connection number each time", () => {
  const harness = withInstances(1);
  harness.now = 1_000;
  expect(harness.ok(presence(harness, ["i0"]))).toMatchObject({ connection: 1, attached: [true] });
  expect(harness.ok(presence(harness, ["i0"]))).toMatchObject({ connection: 2, attached: [true] });
  expect(harness.registry.revision).toBe(1);
  expect(harness.registry.deadline(aKey("i0"))).toBe(1_000 + hour);
});

test("when the connection breaks the instance is suspect at once and goes after the linger time, whatever its TTL", () => {
  const harness = withInstances(1);
  harness.ok(presence(harness, ["i0"]));
  harness.now = 500;
  harness.ok(presence(harness, ["i0"], { change: "break", connection: 1 }));
  expect(harness.find(aKey("i0")).suspect).toBe(true);
  expect(harness.registry.nextDeadline()).toBe(2_500);
  expect(harness.pass(1_999).expired).toBe(0);
  expect(harness.pass(1).expired).toBe(1);
  const [newest] = harness.registry.history("default", "web", { id: "i0", beforeRevision: null, limit: 1 });
  expect(newest).toMatchObject({ type: "expired", lastRenewal: 1_700_000_000_000 - 2_500 });
});

test("a new connection within the linger time makes it whole again", () => {
  const harness = withInstances(1);
  harness.ok(presence(harness, ["i0"]));
  harness.ok(presence(harness, ["i0"], { change: "break", connection: 1 }));
  harness.now = 1_000;
  expect(harness.ok(presence(harness, ["i0"]), { member: "n3" })).toMatchObject({ connection: 2 });
  expect(harness.find(aKey("i0"))).toMatchObject({ suspect: false, incarnation: 1 });
  expect(harness.pass(10_000).expired).toBe(0);
});

test("the late break of a connection that was replaced changes nothing", () => {
  const harness = withInstances(1);
  harness.ok(presence(harness, ["i0"]));
  harness.ok(presence(harness, ["i0"]));
  const result = harness.ok(presence(harness, ["i0"], { change: "break", connection: 1 }));
  expect(result.attached).toEqual([true]);
  expect(harness.events).toEqual([]);
  expect(harness.find(aKey("i0")).suspect).toBe(false);
});

test("a connection belongs to one incarnation: the break of the old one leaves the new one alone", () => {
  const harness = withInstances(1);
  const old = presence(harness, ["i0"], { change: "break", connection: 1 });
  harness.ok(presence(harness, ["i0"]));
  harness.ok({ ...register("i0", { ttlMs: hour }), session: "s2" });
  expect(harness.ok(old).attached).toEqual([false]);
  expect(harness.find(aKey("i0")).suspect).toBe(false);
  const mixed = presence(harness, ["i0"], { change: "break", connection: 1 });
  expect(harness.ok(mixed).attached).toEqual([false]);
  expect(harness.find(aKey("i0")).suspect).toBe(false);
});

test("a break that comes twice is one break", () => {
  const harness = withInstances(1);
  harness.ok(presence(harness, ["i0"]));
  const broken = presence(harness, ["i0"], { change: "break", connection: 1 });
  harness.ok(broken);
  harness.ok(renewOne("i0"));
  harness.ok(broken);
  expect(harness.find(aKey("i0")).suspect).toBe(false);
});

test("which connection an instance hangs on is known after a restart", () => {
  const harness = withInstances(2);
  harness.save();
  harness.ok(presence(harness, ["i0"]));
  harness.ok(presence(harness, ["i1"]));
  harness.restart();
  harness.ok(presence(harness, ["i0", "i1"], { change: "break", connection: 1 }));
  expect(harness.find(aKey("i0")).suspect).toBe(true);
  expect(harness.find(aKey("i1")).suspect).toBe(false);
  expect(harness.ok(presence(harness, ["i0"])).connection).toBe(3);
});

test("a patch of the TTL does not lengthen the linger time", () => {
  const harness = withInstances(1);
  harness.ok(presence(harness, ["i0"]));
  harness.ok(presence(harness, ["i0"], { change: "break", connection: 1 }));
  harness.ok({
    kind: "patch",
    ...aKey("i0"),
    changes: { ttlMs: 60_000 },
    incarnation: null,
    ifRevision: null,
  });
  expect(harness.pass(2_000).expired).toBe(1);
});

test("instances that are absent or of another incarnation are not attached; the others are", () => {
  const harness = withInstances(2);
  const command = presence(harness, ["i0", "i1"]);
  harness.ok(deregister("i0"));
  expect(harness.ok(command).attached).toEqual([false, true]);
});

test("a renewal shows that the process is alive, connection or not", () => {
  const harness = withInstances(1);
  harness.ok(presence(harness, ["i0"]));
  harness.ok(presence(harness, ["i0"], { change: "break", connection: 1 }));
  harness.ok(renewOne("i0"));
  expect(harness.find(aKey("i0")).suspect).toBe(false);
  expect(harness.pass(hour - 1).expired).toBe(0);
});

test("many connections that break at once are protected like leases that run out at once", () => {
  const harness = withInstances(10);
  const all = Array.from({ length: 10 }, (_, i) => `i${i}`);
  harness.ok(presence(harness, all));
  harness.ok(presence(harness, all, { change: "break", connection: 1 }));
  expect(harness.registry.service("default", "web").instances.suspect).toBe(10);
  harness.save();
  expect(harness.pass(2_000)).toMatchObject({ expired: 5, suspected: 5 });
  harness.restart();
  expect(harness.registry.service("default", "web").protected).toBe(true);
  harness.ok(presence(harness, ["i9"]));
  expect(harness.find(aKey("i9")).suspect).toBe(false);
});

test("a break adds nothing to the suspicion of an instance that protection holds", () => {
  const harness = withInstances(5);
  const all = Array.from({ length: 5 }, (_, i) => `i${i}`);
  harness.ok(presence(harness, all));
  harness.pass(hour);
  const before = harness.registry.revision;
  harness.ok(presence(harness, ["i4"], { change: "break", connection: 1 }));
  expect(harness.registry.revision).toBe(before);
  expect(harness.pass(299_999).expired).toBe(0);
  expect(harness.pass(1).expired).toBe(3);
});

test("the linger time has a limit", () => {
  const harness = withInstances(1);
  const { lingerMsMax } = registryLimits;
  harness.ok(presence(harness, ["i0"], { lingerMs: lingerMsMax }));
  const failure = harness.fails(presence(harness, ["i0"], { lingerMs: lingerMsMax + 1 }));
  expect(failure.code).toBe("invalid_argument");
});
