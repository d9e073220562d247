import { expect, test } from "vitest";
import { defaultServiceSettings, registryLimits, type ServiceSettings } from "../../src/registry/model.ts";
import { Harness } from "./harness.ts";

function set(harness: Harness, changes: Partial<ServiceSettings>): ReturnType<Harness["do"]> {
  return harness.do({ kind: "setSettings", namespace: "default", service: "web", changes });
}

test("settings begin with the defaults and change one by one, each a revision of the service", () => {
  const harness = new Harness();
  expect(harness.registry.settings("default", "web")).toEqual(defaultServiceSettings);
  expect(set(harness, { protectionMinInstances: 3 })).toMatchObject({ ok: true, revision: 1 });
  expect(harness.events).toEqual([
    { type: "service", revision: 1, namespace: "default", service: "web", protected: false },
  ]);
  set(harness, { protectionHoldMs: 60_000 });
  const expected = { ...defaultServiceSettings, protectionMinInstances: 3, protectionHoldMs: 60_000 };
  expect(harness.registry.settings("default", "web")).toEqual(expected);
  expect(harness.registry.service("default", "web").revision).toBe(2);
  harness.restart();
  expect(harness.registry.settings("default", "web")).toEqual(expected);
});

test("settings that are there already change nothing, and do not make a service known", () => {
  const harness = new Harness();
  expect(set(harness, { protectionMinInstances: 5 })).toMatchObject({ ok: true, revision: 0 });
  expect(harness.registry.namespaces()).toEqual([]);
});

test("a service with settings of its own is not forgotten when empty; back at the defaults it is", () => {
  const harness = new Harness();
  set(harness, { protectionMinInstances: 3 });
  harness.now += registryLimits.emptyServiceKeptMs;
  harness.pass(0);
  expect(harness.registry.settings("default", "web").protectionMinInstances).toBe(3);
  set(harness, { protectionMinInstances: 5 });
  expect(harness.registry.namespaces()).toHaveLength(1);
  harness.pass(registryLimits.emptyServiceKeptMs);
  expect(harness.registry.namespaces()).toEqual([]);
  expect(harness.registry.service("default", "web").revision).toBe(2);
});

const limits: readonly (readonly [keyof ServiceSettings, min: number, max: number])[] = [
  ["protectionMinInstances", 0, registryLimits.protectionMinInstancesMax],
  ["protectionMaxExpiredPercent", 0, 100],
  ["protectionWindowMs", registryLimits.protectionWindowMsMin, registryLimits.protectionWindowMsMax],
  ["protectionHoldMs", registryLimits.protectionHoldMsMin, registryLimits.protectionHoldMsMax],
];

test.each(limits)("%s may be from %i to %i", (name, min, max) => {
  const harness = new Harness();
  for (const value of [min, max]) expect(set(harness, { [name]: value })).toMatchObject({ ok: true });
  for (const value of [min - 1, max + 1]) {
    expect(set(harness, { [name]: value })).toMatchObject({ ok: false, code: "invalid_argument" });
  }
  expect(harness.registry.settings("default", "web")[name]).toBe(max);
});

test("settings of something that is no name are refused", () => {
  const harness = new Harness();
  const command = { kind: "setSettings", namespace: "default", service: "web", changes: {} } as const;
  for (const part of ["namespace", "service"]) {
    expect(harness.fails({ ...command, [part]: "a/b" }).detail).toContain(part);
  }
});
