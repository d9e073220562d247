import { expect, test } from "vitest";
import { Registry } from "../../src/registry/registry.ts";
import { deregister, register } from "../support/commands.ts";

const leap = 2 ** 40;
const anything = { statuses: null, tags: [], version: null, zone: null, metadata: [] };

test("a leap raises the revision to the next multiple of 2^40, empties the window, and survives a load", () => {
  const registry = new Registry();
  const records = new Map<string, unknown>();
  const envelope = { command: register("a"), member: "n1", at: 0, idempotencyKey: null, by: null };
  registry.apply({ version: 1, envelopes: [envelope] }, 10);
  for (const expected of [leap, 2 * leap]) {
    registry.leapAhead();
    for (const [key, value] of registry.takeChanges().puts) records.set(key, value);
    expect(registry.revision).toBe(expected);
    expect(registry.eventsSince(1)).toBe(null);
    expect(registry.eventsSince(expected)).toEqual([]);
  }
  expect([...records.keys()].filter((key) => key.startsWith("event/"))).toEqual([]);
  const loaded = Registry.load(records);
  expect(loaded.revision).toBe(2 * leap);
  expect(loaded.stateHash()).toBe(registry.stateHash());
});

test("a leap takes every service along, so that who waits for a later change of one is answered", () => {
  const registry = new Registry();
  const records = new Map<string, unknown>();
  const envelopes = [register("a"), deregister("a"), register("b", {}, "api")].map((command) => ({
    command,
    member: "n1",
    at: 0,
    idempotencyKey: null,
    by: null,
  }));
  registry.apply({ version: 1, envelopes }, 10);
  registry.leapAhead();
  for (const [key, value] of registry.takeChanges().puts) records.set(key, value);
  const loaded = Registry.load(records);
  for (const service of ["web", "api", "forgotten-or-registered-after-the-backup"])
    expect(loaded.service("default", service).revision, service).toBe(leap);
  expect(loaded.instances("default", "api", anything)).toMatchObject([{ id: "b", revision: 3 }]);
  expect(loaded.stateHash()).toBe(registry.stateHash());
});

test("the state hash is settled in parts, and is the same whenever it is asked for", () => {
  const make = (): Registry => {
    const registry = new Registry();
    for (let i = 0; i < 50; i += 1) {
      const envelope = { command: register(`a${i}`), member: "n1", at: 0, idempotencyKey: null, by: null };
      registry.apply({ version: 1, envelopes: [envelope] }, i);
    }
    return registry;
  };
  const [atOnce, inParts] = [make(), make()];
  const left = inParts.settleHash(0);
  expect(left).toBeGreaterThan(50);
  expect(inParts.settleHash(10)).toBe(left - 10);
  while (inParts.settleHash(7) > 0);
  expect(inParts.stateHash()).toBe(atOnce.stateHash());
  expect(Registry.load(atOnce.takeChanges().puts).stateHash()).toBe(atOnce.stateHash());
});
