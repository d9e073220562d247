import { expect, test } from "vitest";
import type { Register } from "../../src/registry/commands.ts";
import { registryLimits, type Declaration } from "../../src/registry/model.ts";
import { aKey, deregister, register } from "../support/commands.ts";
import { Harness } from "./harness.ts";

test("the first registration gets revision 1, which is also its incarnation", () => {
  const harness = new Harness();
  const result = harness.ok(register("a", { host: "10.0.0.7", port: 80 }), { at: 123 });
  expect(result).toMatchObject({ created: true, changed: true, revision: 1 });
  expect(result.instance).toMatchObject({
    ...aKey("a"),
    incarnation: 1,
    revision: 1,
    registeredAt: 123,
    suspect: false,
    override: null,
    declared: { host: "10.0.0.7", port: 80 },
  });
  expect(harness.registry.revision).toBe(1);
  expect(harness.registry.deadline(aKey("a"))).toBe(30_000);
});

test("the same body from the same session only renews: same revision, same incarnation, no event", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.now = 20_000;
  const again = harness.ok(register("a"));
  expect(again).toMatchObject({ created: false, changed: false, revision: 1 });
  expect(harness.events).toEqual([]);
  expect(harness.registry.deadline(aKey("a"))).toBe(50_000);
});

test("a body that says the same in another order is the same body", () => {
  const harness = new Harness();
  const metadata = [
    ["x", "1"],
    ["y", "2"],
  ] as const;
  harness.ok(register("a", { tags: ["t", "u"], metadata }));
  const again = harness.ok(register("a", { tags: ["t", "u", "t"], metadata: metadata.toReversed() }));
  expect(again.changed).toBe(false);
});

const differences: readonly { readonly title: string; readonly command: Register }[] = [
  { title: "another session", command: { ...register("a"), session: "s2" } },
  { title: "no session", command: { ...register("a"), session: null } },
  ...(
    [
      { host: "10.0.0.2" },
      { port: 1 },
      { scheme: "http" },
      { version: "2" },
      { zone: "z" },
      { weight: 2 },
      { tags: ["t"] },
      { metadata: [["k", "v"]] },
      { status: "draining" },
      { ttlMs: 5_000 },
    ] as const satisfies readonly Partial<Declaration>[]
  ).map((changes) => ({
    title: `another ${Object.keys(changes).join()}`,
    command: register("a", changes),
  })),
];

test.each(differences)("$title makes it a new registration: one put, a new incarnation", ({ command }) => {
  const harness = new Harness();
  harness.ok(register("a"), { at: 1 });
  const result = harness.ok(command, { at: 2 });
  expect(result).toMatchObject({ created: false, changed: true, revision: 2 });
  expect(result.instance).toMatchObject({ incarnation: 2, revision: 2, registeredAt: 2 });
  expect(harness.events.map(({ type, revision }) => [type, revision])).toEqual([["put", 2]]);
  expect(harness.registry.instanceCount).toBe(1);
  expect(harness.registry.deadline(aKey("a"))).toBe(command.declared.ttlMs);
});

test("the body is compared with the instance as it stands: after a patch the first body is a difference", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok({ kind: "patch", ...aKey("a"), changes: { weight: 9 }, incarnation: null, ifRevision: null });
  expect(harness.ok(register("a"))).toMatchObject({ changed: true, revision: 3 });
  expect(harness.find(aKey("a"))).toMatchObject({ incarnation: 3, declared: { weight: 1 } });
});

test("a client without a session is the same as before when its body is", () => {
  const harness = new Harness();
  const command = { ...register("a"), session: null };
  harness.ok(command);
  expect(harness.ok(command).changed).toBe(false);
});

test("an incarnation is never used again, also not for the same id", () => {
  const harness = new Harness();
  const seen = new Set<number>();
  for (let i = 0; i < 5; i += 1) {
    seen.add(harness.ok(register("a")).instance.incarnation);
    harness.ok(deregister("a"));
  }
  expect(seen.size).toBe(5);
});

type Precondition = {
  readonly title: string;
  readonly present: boolean;
  readonly command: Partial<Register>;
  readonly refusedAt?: number | null;
};

const preconditions: readonly Precondition[] = [
  { title: "ifAbsent on an absent instance", present: false, command: { ifAbsent: true } },
  { title: "ifAbsent on a present one", present: true, command: { ifAbsent: true }, refusedAt: 1 },
  { title: "the right revision", present: true, command: { ifRevision: 1 } },
  { title: "a wrong revision", present: true, command: { ifRevision: 7 }, refusedAt: 1 },
  { title: "a revision of nothing", present: false, command: { ifRevision: 1 }, refusedAt: null },
];

test.each(preconditions)("precondition: $title", ({ present, command, refusedAt }) => {
  const harness = new Harness();
  if (present) harness.ok(register("a"));
  const before = harness.registry.revision;
  const result = harness.do({ ...register("a", { weight: 5 }), ...command });
  const isRefused = refusedAt !== undefined;
  expect(result).toMatchObject(
    isRefused ? { ok: false, code: "precondition_failed", revision: refusedAt } : { ok: true, changed: true },
  );
  expect(harness.registry.revision).toBe(isRefused ? before : before + 1);
});

const { tags, tagChars, metadataPairs, metadataKeyChars, metadataValueChars } = registryLimits;
const text = (length: number): string => "x".repeat(length);
const pairs = (count: number): [string, string][] =>
  Array.from({ length: count }, (_, i) => [`k${String(i).padStart(3, "0")}`, "v"]);

/** The largest value allowed, and one beyond. */
const limits: readonly (readonly [
  field: string,
  allowed: Partial<Declaration>,
  refused: Partial<Declaration>,
])[] = [
  ["host", { host: text(255) }, { host: text(256) }],
  ["host", { host: "h" }, { host: "" }],
  ["port", { port: 65_535 }, { port: 65_536 }],
  ["port", { port: 0 }, { port: -1 }],
  ["scheme", { scheme: text(32) }, { scheme: text(33) }],
  ["version", { version: text(128) }, { version: text(129) }],
  ["zone", { zone: text(128) }, { zone: text(129) }],
  ["weight", { weight: 10_000 }, { weight: 10_001 }],
  ["weight", { weight: 0 }, { weight: -1 }],
  ["tags", { tags: pairs(tags).map(([key]) => key) }, { tags: pairs(tags + 1).map(([key]) => key) }],
  ["tag", { tags: [text(tagChars)] }, { tags: [text(tagChars + 1)] }],
  ["metadata", { metadata: pairs(metadataPairs) }, { metadata: pairs(metadataPairs + 1) }],
  [
    "metadata key",
    { metadata: [[text(metadataKeyChars), "v"]] },
    { metadata: [[text(metadataKeyChars + 1), "v"]] },
  ],
  [
    "metadata value",
    { metadata: [["k", text(metadataValueChars)]] },
    { metadata: [["k", text(metadataValueChars + 1)]] },
  ],
  ["ttlMs", { ttlMs: 1_000 }, { ttlMs: 999 }],
  ["ttlMs", { ttlMs: 86_400_000 }, { ttlMs: 86_400_001 }],
];

test.each(limits)(
  "limit of %s: the largest value registers, one beyond is refused",
  (field, allowed, refused) => {
    const harness = new Harness();
    expect(harness.ok(register("a", allowed)).created).toBe(true);
    const failure = harness.fails(register("b", refused));
    expect(failure.code).toBe("invalid_argument");
    expect(failure.detail).toContain(field);
    expect(harness.ids()).toEqual(["a"]);
  },
);

test("a session of 64 characters registers, one of 65 is refused", () => {
  const harness = new Harness();
  expect(harness.ok({ ...register("a"), session: text(64) }).created).toBe(true);
  expect(harness.fails({ ...register("b"), session: text(65) }).detail).toContain("session");
});

test.each(["", "-a", ".", "a/b", "a b", "ä", `a${text(128)}`, "a\n"])("%j is no name anywhere", (name) => {
  const harness = new Harness();
  for (const part of ["namespace", "service", "id"]) {
    const failure = harness.fails({ ...register("a"), [part]: name });
    expect(failure).toMatchObject({ code: "invalid_argument", revision: null });
    expect(failure.detail).toContain(part);
  }
  expect(harness.registry.revision).toBe(0);
});

test("names and keys that mean something to JavaScript are plain names and keys", () => {
  const harness = new Harness();
  const metadata = [
    ["__proto__", "1"],
    ["constructor", "2"],
    ["toString", "3"],
  ] as const;
  for (const id of ["constructor", "hasOwnProperty", "toString"]) {
    harness.ok({ ...register(id, { metadata }, id), namespace: id });
    expect(harness.find({ namespace: id, service: id, id }).declared.metadata).toEqual(metadata);
    expect(harness.registry.namespaces().map(({ name }) => name)).toContain(id);
  }
  harness.restart();
  const key = { namespace: "constructor", service: "constructor", id: "constructor" };
  expect(harness.find(key).declared.metadata).toEqual(metadata);
  expect(({} as Record<string, unknown>)["1"]).toBeUndefined();
});
