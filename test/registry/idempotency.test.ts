import { expect, test } from "vitest";
import { registryLimits } from "../../src/registry/model.ts";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { anEnvelope, Harness } from "./harness.ts";

const key = { idempotencyKey: "k1" };

test("a repeat gets the first result bit for bit and has no effect, whoever brings it", () => {
  const harness = new Harness();
  const first = harness.ok(register("a"), key);
  harness.ok(deregister("a"));
  const again = harness.ok(register("a"), { ...key, member: "n2", at: 5, by: "somebody" });
  expect(again).toEqual(first);
  expect(harness.ids()).toEqual([]);
  expect(harness.events).toEqual([]);
});

test("the result is still there after a restart, equal in every field", () => {
  const harness = new Harness();
  const incarnation = harness.ok(register("a", { tags: ["t"], metadata: [["k", "v"]] }), key).revision;
  const commands = [
    register("a", { tags: ["t"], metadata: [["k", "v"]] }),
    { kind: "renew", handles: [incarnation, 99] },
    { ...renewOne("a"), status: "draining" },
    { kind: "patch", ...aKey("a"), changes: { weight: 2 }, incarnation: null, ifRevision: null },
    {
      kind: "setOverride",
      ...aKey("a"),
      layer: { weight: 1, tags: ["u"], status: "up", reason: "r", endsInMs: 9 },
    },
    { kind: "setSettings", namespace: "default", service: "web", changes: { protectionMinInstances: 9 } },
    {
      kind: "presence",
      change: "attach",
      instances: [{ ...aKey("a"), incarnation }],
      connection: 0,
      lingerMs: 1,
    },
    { kind: "batch", operations: [register("b"), deregister("absent"), renewOne("b")] },
    deregister("a"),
    deregister("absent"),
    { kind: "expire" },
  ] as const;
  const first = commands.map((command, i) => harness.do(command, { idempotencyKey: `k${i + 2}` }));
  const revision = harness.registry.revision;
  harness.restart();
  const again = commands.map((command, i) => harness.do(command, { idempotencyKey: `k${i + 2}` }));
  expect(again).toEqual(first);
  expect(harness.registry.revision).toBe(revision);
});

test("a failure is repeated too, although it might succeed by now", () => {
  const harness = new Harness();
  expect(harness.fails(deregister("a"), key).code).toBe("not_registered");
  harness.ok(register("a"));
  expect(harness.fails(deregister("a"), key).code).toBe("not_registered");
  expect(harness.ids()).toEqual(["a"]);
});

test("the same key with another request is a conflict, and the first result stays", () => {
  const harness = new Harness();
  const first = harness.ok(register("a"), key);
  for (const other of [register("b"), register("a", { weight: 2 }), deregister("a")] as const) {
    expect(harness.fails(other, key).code).toBe("conflict");
  }
  expect(harness.ok(register("a"), key)).toEqual(first);
  expect(harness.ids()).toEqual(["a"]);
});

test("a repeat within the same entry is a repeat", () => {
  const harness = new Harness();
  const results = harness.entry(anEnvelope(register("a"), key), anEnvelope(register("a"), key));
  expect(results[1]).toEqual(results[0]);
});

test("a result is kept for ten minutes of cluster time", () => {
  const harness = new Harness();
  harness.ok(register("a", { ttlMs: registryLimits.ttlMsMax }), key);
  harness.now = registryLimits.idempotencyMs - 1;
  expect(harness.ok(register("a", { ttlMs: registryLimits.ttlMsMax }), key).created).toBe(true);
  harness.now += 1;
  expect(harness.ok(register("a", { ttlMs: registryLimits.ttlMsMax }), key).created).toBe(false);
});

test("results that are too old leave the records", () => {
  const harness = new Harness();
  harness.fails(deregister("a"), key);
  harness.save();
  expect(harness.image.has("idempotency/k1")).toBe(true);
  harness.pass(registryLimits.idempotencyMs);
  harness.save();
  expect(harness.image.has("idempotency/k1")).toBe(false);
});

test("a result that takes the place of one too old counts once", () => {
  const harness = new Harness();
  const { idempotencyKeys, operationsPerBatch, idempotencyMs } = registryLimits;
  const operations = Array.from({ length: operationsPerBatch }, () => renewOne("absent"));
  const keys = Array.from({ length: (0.9 * idempotencyKeys) / operationsPerBatch }, (_, i) => `b${i}`);
  const keepAll = (): unknown =>
    harness.entry(
      ...keys.map((idempotencyKey) => anEnvelope({ kind: "batch", operations }, { idempotencyKey })),
    );
  keepAll();
  harness.now += idempotencyMs;
  keepAll();
  harness.save();
  expect([...harness.image.keys()].filter((key) => key.startsWith("idempotency/"))).toHaveLength(keys.length);
});

test("the results that are kept take only so many bytes together, also after a restart; the oldest go first", () => {
  const harness = new Harness();
  const { idempotencyBytes, metadataValueChars, metadataPairs } = registryLimits;
  const value = "x".repeat(metadataValueChars);
  const metadata = Array.from({ length: metadataPairs }, (_, i) => [`k${i}`, value] as const);
  harness.fails(deregister("absent"), key);
  const keep = (i: number): void =>
    void harness.ok({ ...register("a", { metadata }), session: `s${i}` }, { idempotencyKey: `r${i}` });
  const isKept = (): boolean => !harness.do(deregister("absent"), key).ok;
  const fitting = Math.floor(idempotencyBytes / (metadataPairs * (metadataValueChars + 52)));
  for (let i = 0; i < fitting - 20; i += 1) keep(i);
  harness.ok(register("absent"));
  expect(isKept()).toBe(true);
  harness.restart();
  for (let i = fitting - 20; i < fitting + 5; i += 1) keep(i);
  expect(isKept()).toBe(false);
});

test("only so many results are kept; a batch counts as many as it has operations", () => {
  const harness = new Harness();
  const { idempotencyKeys, operationsPerBatch } = registryLimits;
  harness.fails(deregister("absent"), key);
  const operations = Array.from({ length: operationsPerBatch }, () => renewOne("absent"));
  const keep = (i: number): unknown => harness.ok({ kind: "batch", operations }, { idempotencyKey: `b${i}` });
  const fitting = idempotencyKeys / operationsPerBatch - 1;
  for (let i = 0; i < fitting; i += 1) keep(i);
  harness.ok(register("absent"));
  expect(harness.fails(deregister("absent"), key).code).toBe("not_registered");
  keep(fitting);
  expect(harness.ok(deregister("absent"), key).ok).toBe(true);
});
