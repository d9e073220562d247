import { expect, test } from "vitest";
import type { Patch } from "../../src/registry/commands.ts";
import type { Declaration } from "../../src/registry/model.ts";
import { aKey, register } from "../support/commands.ts";
import { Harness } from "./harness.ts";

function patch(changes: Patch["changes"], more: Partial<Patch> = {}): Patch {
  return { kind: "patch", ...aKey("a"), changes, incarnation: null, ifRevision: null, ...more };
}

const full: Partial<Declaration> = {
  scheme: "http",
  version: "1",
  zone: "z1",
  weight: 7,
  tags: ["t"],
  metadata: [
    ["a", "1"],
    ["b", "2"],
  ],
  status: "draining",
  ttlMs: 5_000,
};

type Case = readonly [title: string, changes: Patch["changes"], after: Partial<Declaration>];

const cases: readonly Case[] = [
  ["host", { host: "h2" }, { host: "h2" }],
  ["port", { port: 1 }, { port: 1 }],
  ["scheme to none", { scheme: null }, { scheme: null }],
  ["version", { version: "2" }, { version: "2" }],
  ["zone to none", { zone: null }, { zone: null }],
  ["weight to its default", { weight: null }, { weight: 1 }],
  ["tags as a whole", { tags: ["x", "y", "x"] }, { tags: ["x", "y"] }],
  ["tags to none", { tags: null }, { tags: [] }],
  [
    "metadata by key",
    {
      metadata: [
        ["c", "3"],
        ["a", null],
        ["b", "4"],
      ],
    },
    {
      metadata: [
        ["b", "4"],
        ["c", "3"],
      ],
    },
  ],
  ["metadata to none", { metadata: null }, { metadata: [] }],
  ["status to its default", { status: null }, { status: "up" }],
  ["ttlMs to its default", { ttlMs: null }, { ttlMs: 30_000 }],
];

test.each(cases)(
  "a patch sets %s and keeps everything else and the incarnation",
  (_title, changes, after) => {
    const harness = new Harness();
    const before = harness.ok(register("a", full)).instance;
    const result = harness.ok(patch(changes));
    expect(result).toMatchObject({ changed: true, revision: 2 });
    expect(result.instance).toEqual({ ...before, revision: 2, declared: { ...before.declared, ...after } });
    expect(harness.events).toEqual([{ type: "put", revision: 2, instance: result.instance }]);
  },
);

test.each([
  ["nothing", {}],
  ["what is there already", { weight: 7, status: "draining" }],
  ["the removal of a key that is not there", { metadata: [["q", null]] }],
] as const)("a patch of %s changes nothing and stays quiet", (_title, changes) => {
  const harness = new Harness();
  harness.ok(register("a", full));
  expect(harness.ok(patch(changes))).toMatchObject({ changed: false, revision: 1 });
  expect(harness.events).toEqual([]);
});

test("a patch is no renewal, but a new ttlMs starts a new lease", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.now = 10_000;
  harness.ok(patch({ weight: 2 }));
  expect(harness.registry.deadline(aKey("a"))).toBe(30_000);
  harness.ok(patch({ ttlMs: 2_000 }));
  expect(harness.registry.deadline(aKey("a"))).toBe(12_000);
  expect(harness.registry.nextDeadline()).toBe(12_000);
  expect(harness.pass(2_000).expired).toBe(1);
});

test("limits are judged after the merge, and a refused patch changes nothing", () => {
  const harness = new Harness();
  const many = Array.from({ length: 64 }, (_, i): [string, string] => [`k${i}`, "v"]);
  harness.ok(register("a", { metadata: many }));
  expect(harness.fails(patch({ metadata: [["more", "v"]] }))).toMatchObject({
    code: "invalid_argument",
    revision: 1,
  });
  const swap = patch({
    metadata: [
      ["more", "v"],
      ["k0", null],
    ],
  });
  expect(harness.ok(swap).instance.declared.metadata).toHaveLength(64);
  expect(harness.fails(patch({ ttlMs: 1 })).code).toBe("invalid_argument");
  expect(harness.registry.revision).toBe(2);
});

test("a patch with another revision than the instance's is refused with the present one", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  expect(harness.fails(patch({ weight: 2 }, { ifRevision: 9 }))).toMatchObject({
    code: "precondition_failed",
    revision: 1,
  });
  expect(harness.ok(patch({ weight: 2 }, { ifRevision: 1 })).revision).toBe(2);
});

test("the reason that is given for a patch goes on in the history, after what it changed", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok(patch({ status: "draining" }, { reason: "deploy 7" }));
  harness.ok(patch({ weight: 2 }, { reason: "less load" }));
  const reasons = harness.registry
    .history("default", "web", { id: "a", beforeRevision: null, limit: 2 })
    .map(({ reason }) => reason);
  expect(reasons).toEqual(["changed weight: less load", "up -> draining: deploy 7"]);
  const tooLong = harness.fails(patch({ weight: 3 }, { reason: "x".repeat(257) }));
  expect(tooLong.code).toBe("invalid_argument");
});
