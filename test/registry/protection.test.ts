import { expect, test } from "vitest";
import type { RegistryEvent } from "../../src/registry/commands.ts";
import type { ServiceSettings } from "../../src/registry/model.ts";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { anEnvelope, Harness } from "./harness.ts";

const ids = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `i${from + i}`);

/** A service "web" of that many instances, all registered at once with a TTL of 30 s. */
function web(count: number, settings: Partial<ServiceSettings> = {}): Harness {
  const harness = new Harness();
  harness.ok({ kind: "setSettings", namespace: "default", service: "web", changes: settings });
  harness.entry(...ids(count).map((id) => anEnvelope(register(id))));
  return harness;
}

function inWords(event: RegistryEvent): string {
  switch (event.type) {
    case "put":
      return `put ${event.instance.id}${event.instance.suspect ? " suspect" : ""}`;
    case "delete":
      return `delete ${event.id} ${event.reason}`;
    case "service":
      return event.protected ? "protected" : "not protected";
  }
}

type Case = {
  readonly count: number;
  readonly settings?: Partial<ServiceSettings>;
  readonly expired: number;
};

const cases: readonly Case[] = [
  { count: 1, expired: 1 },
  { count: 4, expired: 4 },
  { count: 5, expired: 2 },
  { count: 6, expired: 3 },
  { count: 9, expired: 4 },
  { count: 10, expired: 5 },
  { count: 10, settings: { protectionMaxExpiredPercent: 100 }, expired: 10 },
  { count: 10, settings: { protectionMaxExpiredPercent: 0 }, expired: 0 },
  { count: 10, settings: { protectionMaxExpiredPercent: 15 }, expired: 1 },
  { count: 10, settings: { protectionMinInstances: 11 }, expired: 10 },
  { count: 3, settings: { protectionMinInstances: 2 }, expired: 1 },
];

test.each(cases)("of $count instances that are due at once $expired go with $settings", (one) => {
  const harness = web(one.count, one.settings);
  const held = one.count - one.expired;
  expect(harness.pass(30_000)).toMatchObject({ expired: one.expired, suspected: held });
  const summary = harness.registry.service("default", "web");
  expect(summary.protected).toBe(held > 0);
  expect(summary.instances).toMatchObject({ total: held, suspect: held });
});

test("the earliest go, the others become suspect, and the service protected: each one visible change", () => {
  const harness = web(5);
  harness.pass(30_000);
  expect(harness.events.map(inWords)).toEqual([
    "delete i0 expired",
    "delete i1 expired",
    "put i2 suspect",
    "protected",
    "put i3 suspect",
    "put i4 suspect",
  ]);
  expect(harness.events.map((event) => event.revision)).toEqual([6, 7, 8, 9, 10, 11]);
});

test("a held instance recovers by renewing, and with the last of them the service is no longer protected", () => {
  const harness = web(5);
  harness.pass(30_000);
  const handle = harness.find(aKey("i2")).incarnation;
  harness.ok({ kind: "renew", handles: [handle] });
  expect(harness.events.map(inWords)).toEqual(["put i2"]);
  harness.ok(renewOne("i3"));
  expect(harness.events.map(inWords)).toEqual(["put i3"]);
  expect(harness.ok(register("i4"))).toMatchObject({ created: false, changed: true });
  expect(harness.events.map(inWords)).toEqual(["put i4", "not protected"]);
  expect(harness.find(aKey("i2")).incarnation).toBe(handle);
  expect(harness.registry.service("default", "web")).toMatchObject({ protected: false });
});

test("what is held goes after its hold, each on its own, and the service heals by itself", () => {
  const harness = web(5);
  harness.pass(30_000);
  expect(harness.registry.nextDeadline()).toBe(330_000);
  expect(harness.pass(299_999)).toMatchObject({ expired: 0, suspected: 0 });
  expect(harness.pass(1)).toMatchObject({ expired: 3, suspected: 0 });
  expect(harness.events.map(inWords).at(-1)).toBe("not protected");
  expect(harness.ids()).toEqual([]);
});

test("deregistrations never trigger protection and are never held back by it", () => {
  const harness = web(10);
  for (const id of ids(9)) harness.ok(deregister(id));
  expect(harness.registry.service("default", "web")).toMatchObject({ protected: false });
  const held = web(5);
  held.pass(30_000);
  for (const id of ["i2", "i3"]) held.ok(deregister(id));
  held.ok(deregister("i4"));
  expect(held.events.map(inWords)).toEqual(["delete i4 deregistered", "not protected"]);
});

test("expiries are counted together for 30 s from the first; the next window has a base of its own", () => {
  const harness = new Harness();
  // Ten instances, two of which are due every 10 s.
  harness.entry(...ids(10).map((id, i) => anEnvelope(register(id, { ttlMs: 10_000 * (1 + (i >> 1)) }))));
  expect(harness.pass(10_000)).toMatchObject({ expired: 2, suspected: 0 });
  expect(harness.pass(10_000)).toMatchObject({ expired: 2, suspected: 0 });
  // The window began at 10 s with ten; a fifth is the last that may go.
  expect(harness.pass(10_000)).toMatchObject({ expired: 1, suspected: 1 });
  // At 40 s a new window begins, with the five that are listed, the held one included: two may go.
  expect(harness.pass(10_000)).toMatchObject({ expired: 2, suspected: 0 });
  expect(harness.pass(10_000)).toMatchObject({ expired: 0, suspected: 2 });
});

test("each service is protected by itself", () => {
  const harness = web(5);
  harness.entry(...ids(5).map((id) => anEnvelope(register(id, { ttlMs: 3_600_000 }, "other"))));
  harness.pass(30_000);
  expect(harness.registry.service("default", "web").protected).toBe(true);
  expect(harness.registry.service("default", "other").protected).toBe(false);
});

test("a suspect that another session takes over is suspect no more", () => {
  const harness = web(5);
  harness.pass(30_000);
  harness.ok({ ...register("i2"), session: "s2" });
  expect(harness.find(aKey("i2"))).toMatchObject({ suspect: false });
  expect(harness.registry.deadline(aKey("i2"))).toBe(60_000);
});

test("a window that opens without any visible change is recorded like every other", () => {
  const harness = web(2, {
    protectionMinInstances: 1,
    protectionMaxExpiredPercent: 0,
    protectionWindowMs: 1_000,
  });
  const attach = (id: string): unknown =>
    harness.ok({
      kind: "presence",
      change: "attach",
      instances: [{ ...aKey(id), incarnation: harness.find(aKey(id)).incarnation }],
      connection: 0,
      lingerMs: 0,
    });
  const breaks = (id: string, connection: number, lingerMs: number): unknown =>
    harness.ok({
      kind: "presence",
      change: "break",
      instances: [{ ...aKey(id), incarnation: harness.find(aKey(id)).incarnation }],
      connection,
      lingerMs,
    });
  attach("i0");
  attach("i1");
  breaks("i0", 1, 2_000);
  breaks("i1", 2, 20_000);
  expect(harness.pass(2_000).suspected).toBe(1);
  harness.save();
  const before = harness.registry.revision;
  expect(harness.pass(18_000).suspected).toBe(1);
  expect(harness.registry.revision).toBe(before);
  harness.save();
  expect(harness.image.get("service/default/web")).toContainEqual([20_000, 2, 0]);
});

test("protection, its window and its holds survive a restart", () => {
  const harness = web(9);
  harness.pass(30_000);
  harness.restart();
  expect(harness.registry.service("default", "web")).toMatchObject({
    protected: true,
    instances: { suspect: 5 },
  });
  expect(harness.pass(300_000)).toMatchObject({ expired: 5, suspected: 0 });
  expect(harness.events.map(inWords).at(-1)).toBe("not protected");
});
