import { expect, test } from "vitest";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { Harness } from "./harness.ts";

test("renewals by handle move deadlines and nothing else", () => {
  const harness = new Harness();
  const a = harness.ok(register("a")).instance.incarnation;
  const b = harness.ok(register("b", { ttlMs: 5_000 })).instance.incarnation;
  harness.now = 4_000;
  expect(harness.ok({ kind: "renew", handles: [b, a, 99, b] }).ttlsMs.map((ttlMs) => ttlMs > 0)).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(harness.events).toEqual([]);
  expect(harness.registry.revision).toBe(2);
  expect(harness.registry.deadline(aKey("a"))).toBe(34_000);
  expect(harness.registry.deadline(aKey("b"))).toBe(9_000);
});

test("a handle of a registration that was replaced or removed renews nothing", () => {
  const harness = new Harness();
  const old = harness.ok(register("a")).instance.incarnation;
  const current = harness.ok({ ...register("a"), session: "s2" }).instance.incarnation;
  harness.now = 1_000;
  expect(harness.ok({ kind: "renew", handles: [old, current] }).ttlsMs.map((ttlMs) => ttlMs > 0)).toEqual([
    false,
    true,
  ]);
  harness.ok(deregister("a"));
  expect(harness.ok({ kind: "renew", handles: [old, current] }).ttlsMs).toEqual([0, 0]);
});

test("a renewal by name may change the status, which keeps the incarnation", () => {
  const harness = new Harness();
  harness.ok(register("a", { status: "starting" }));
  harness.now = 1_000;
  expect(harness.ok({ ...renewOne("a"), status: "up" })).toMatchObject({
    changed: true,
    incarnation: 1,
    ttlMs: 30_000,
    instance: { revision: 2, incarnation: 1, declared: { status: "up" } },
  });
  expect(harness.ok({ ...renewOne("a"), status: "up" })).toMatchObject({
    changed: false,
    instance: { revision: 2 },
  });
  expect(harness.registry.deadline(aKey("a"))).toBe(31_000);
});

type Refusal = { readonly title: string; readonly incarnation: number | null; readonly code: string | null };

/** The instance stands at incarnation 2, after 1 was replaced. */
const refusals: readonly Refusal[] = [
  { title: "the present incarnation", incarnation: 2, code: null },
  { title: "no incarnation", incarnation: null, code: null },
  { title: "an older incarnation", incarnation: 1, code: "superseded" },
  { title: "an incarnation above the present", incarnation: 3, code: "not_registered" },
];

test.each(refusals)("renew, patch and deregister with $title", ({ incarnation, code }) => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok({ ...register("a"), session: "s2" });
  const commands = [
    { ...renewOne("a"), incarnation },
    { kind: "patch", ...aKey("a"), changes: { weight: 3 }, incarnation, ifRevision: null },
    { ...deregister("a"), incarnation },
  ] as const;
  for (const command of commands) {
    const result = harness.do(command);
    expect(result.ok ? null : result.code).toBe(code);
  }
  expect(harness.ids()).toEqual(code === null ? [] : ["a"]);
});

test("renew, patch, deregister and override of an absent instance are not_registered", () => {
  const harness = new Harness();
  const commands = [
    renewOne("a"),
    { kind: "patch", ...aKey("a"), changes: {}, incarnation: null, ifRevision: null },
    deregister("a"),
    { kind: "setOverride", ...aKey("a"), layer: null },
  ] as const;
  for (const command of commands) expect(harness.fails(command).code).toBe("not_registered");
});

test("an overdue instance that is still listed may renew", () => {
  const harness = new Harness();
  const handle = harness.ok(register("a")).instance.incarnation;
  harness.now = 100_000;
  expect(harness.ok({ kind: "renew", handles: [handle] }).ttlsMs.map((ttlMs) => ttlMs > 0)).toEqual([true]);
  expect(harness.pass(29_999).expired).toBe(0);
  expect(harness.ids()).toEqual(["a"]);
});

test("a renewal ahead of an expiry in the same entry wins", () => {
  const harness = new Harness();
  const handle = harness.ok(register("a")).instance.incarnation;
  harness.now = 30_000;
  const envelope = { member: "n1", at: 0, idempotencyKey: null, by: null };
  const results = harness.entry(
    { ...envelope, command: { kind: "renew", handles: [handle] } },
    { ...envelope, command: { kind: "expire" } },
  );
  expect(results).toMatchObject([{ ttlsMs: [expect.any(Number)] }, { expired: 0 }]);
  expect(harness.ids()).toEqual(["a"]);
});
