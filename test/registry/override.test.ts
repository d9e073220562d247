import { expect, test } from "vitest";
import type { SetOverride } from "../../src/registry/commands.ts";
import { effective, registryLimits } from "../../src/registry/model.ts";
import { aKey, deregister, register } from "../support/commands.ts";
import { anEnvelope, everything, Harness } from "./harness.ts";

type Layer = NonNullable<SetOverride["layer"]>;

function layer(changes: Partial<Layer>): SetOverride {
  const none = { weight: null, tags: null, status: null, reason: "why", endsInMs: null };
  return { kind: "setOverride", ...aKey("a"), layer: { ...none, ...changes } };
}

const cleared: SetOverride = { kind: "setOverride", ...aKey("a"), layer: null };

function registered(): Harness {
  const harness = new Harness();
  harness.ok(register("a", { weight: 5, tags: ["x"], ttlMs: registryLimits.ttlMsMax }));
  return harness;
}

test("the layer wins over what is declared, and hides nothing of it", () => {
  const harness = registered();
  const result = harness.ok(layer({ weight: 0, tags: ["y", "y"], status: "draining" }));
  expect(result).toMatchObject({ changed: true, revision: 2, instance: { incarnation: 1 } });
  expect(effective(result.instance)).toMatchObject({ weight: 0, tags: ["y"], status: "draining" });
  expect(result.instance.declared).toMatchObject({ weight: 5, tags: ["x"], status: "up" });
  expect(harness.registry.service("default", "web").instances).toMatchObject({ up: 0, draining: 1 });
  expect(harness.registry.instances("default", "web", { ...everything, tags: ["x"] })).toEqual([]);
});

test("the layer survives a new registration, by the same session or another", () => {
  const harness = registered();
  harness.ok(layer({ weight: 0 }));
  expect(harness.ok(register("a")).instance.override).toMatchObject({ weight: 0 });
  expect(harness.ok({ ...register("a"), session: "s2" }).instance.override).toMatchObject({ weight: 0 });
});

test("the layer waits for an instance that went and comes back", () => {
  const harness = registered();
  harness.ok(layer({ status: "down" }));
  harness.ok(deregister("a"));
  harness.restart();
  const back = harness.ok(register("a")).instance;
  expect(back).toMatchObject({ incarnation: 4, override: { status: "down", reason: "why" } });
  expect(harness.ok(cleared)).toMatchObject({ changed: true, instance: { override: null } });
  harness.ok(deregister("a"));
  expect(harness.ok(register("a")).instance.override).toBeNull();
});

test("a layer that ended, or was kept for a day, while its instance was away is forgotten", () => {
  const ended = registered();
  ended.ok(layer({ weight: 0, endsInMs: 1_000 }));
  ended.ok(deregister("a"));
  ended.now += 1_000;
  expect(ended.ok(register("a")).instance.override).toBeNull();

  const old = registered();
  old.ok(layer({ weight: 0 }));
  old.ok(deregister("a"));
  old.now += registryLimits.emptyServiceKeptMs;
  expect(old.ok(register("a")).instance.override).toBeNull();
});

test("only so many layers wait for instances that are gone; the oldest are forgotten", () => {
  const harness = new Harness();
  // The oldest comes last in order of names, which is how records come back.
  const ids = ["z", ...Array.from({ length: registryLimits.overridesParked }, (_, i) => `i${i}`)];
  harness.entry(...ids.map((id) => anEnvelope(register(id))));
  harness.entry(...ids.map((id) => anEnvelope({ ...layer({ weight: 0 }), id })));
  harness.entry(...ids.slice(0, -1).map((id) => anEnvelope(deregister(id))));
  harness.restart();
  harness.ok(deregister(ids.at(-1) ?? ""));
  expect(harness.ok(register("z")).instance.override).toBeNull();
  expect(harness.ok(register("i0")).instance.override).toMatchObject({ weight: 0 });
});

test("a layer with an end falls away at that cluster time, as a visible change of its own", () => {
  const harness = registered();
  harness.now = 500;
  const set = harness.ok(layer({ weight: 0, endsInMs: 1_000 }));
  expect(set.instance.override?.endsAt).toBe(1_500);
  expect(harness.registry.nextDeadline()).toBe(1_500);
  harness.pass(999);
  expect(harness.events).toEqual([]);
  expect(harness.pass(1)).toMatchObject({ expired: 0, suspected: 0 });
  expect(harness.events).toMatchObject([{ type: "put", revision: 3, instance: { override: null } }]);
  expect(harness.registry.nextDeadline()).toBe(registryLimits.ttlMsMax);
});

test("the end of a layer is remembered over a restart and a new registration, and dies with its instance", () => {
  const harness = registered();
  harness.ok(layer({ weight: 0, endsInMs: 1_000 }));
  harness.ok({ ...register("a", { ttlMs: registryLimits.ttlMsMax }), session: "s2" });
  harness.restart();
  expect(harness.registry.nextDeadline()).toBe(1_000);
  harness.ok(deregister("a"));
  expect(harness.registry.nextDeadline()).toBeNull();
});

test("layers end in order of (time, incarnation), also when an instance was replaced meanwhile", () => {
  const harness = new Harness();
  for (const id of ["a", "b", "c"]) {
    harness.ok(register(id, { ttlMs: registryLimits.ttlMsMax }));
    harness.ok({ ...layer({ weight: 0, endsInMs: 1_000 }), id });
  }
  harness.ok({ ...register("a", { ttlMs: registryLimits.ttlMsMax }), session: "s2" });
  harness.pass(1_000);
  expect(harness.events.map((event) => event.type === "put" && event.instance.id)).toEqual(["b", "c", "a"]);
});

test("the end of a layer whose instance is gone does not hide the ends of others", () => {
  const harness = registered();
  harness.ok(layer({ weight: 0, endsInMs: 1_000 }));
  harness.ok(register("b", { ttlMs: registryLimits.ttlMsMax }));
  harness.ok({ ...layer({ weight: 0, endsInMs: 2_000 }), id: "b" });
  harness.ok(deregister("a"));
  expect(harness.registry.nextDeadline()).toBe(2_000);
});

test("the same layer again changes nothing; another end or reason does", () => {
  const harness = registered();
  harness.ok(layer({ tags: ["y"] }));
  expect(harness.ok(layer({ tags: ["y"] })).changed).toBe(false);
  expect(harness.ok(layer({ tags: ["z"] })).changed).toBe(true);
  expect(harness.ok(layer({ tags: ["z"], reason: "because" })).changed).toBe(true);
  expect(harness.ok(layer({ tags: ["z"], reason: "because", endsInMs: 5 })).changed).toBe(true);
  expect(harness.ok(cleared).changed).toBe(true);
  expect(harness.ok(cleared).changed).toBe(false);
});

test("a layer is no sign of life", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.now = 29_000;
  harness.ok(layer({ weight: 0 }));
  expect(harness.pass(1_000).expired).toBe(1);
});

const refused: readonly Partial<Layer>[] = [
  { weight: 10_001 },
  { weight: -1 },
  { tags: Array.from({ length: 65 }, (_, i) => `t${i}`) },
  { tags: ["x".repeat(129)] },
  { reason: "x".repeat(registryLimits.reasonChars + 1) },
  { endsInMs: 0 },
  { endsInMs: registryLimits.overrideEndsInMsMax + 1 },
];

test.each(refused)("a layer beyond a limit is refused: %j", (changes) => {
  const harness = registered();
  expect(harness.fails(layer(changes)).code).toBe("invalid_argument");
  expect(harness.find(aKey("a")).override).toBeNull();
});
