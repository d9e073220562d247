import { expect, test } from "vitest";
import type { HistoryQuery } from "../../src/registry/history.ts";
import { registryLimits } from "../../src/registry/model.ts";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { Harness } from "./harness.ts";

const all = { id: null, beforeRevision: null, limit: 1_000 };

test("the history tells who did what to an instance, and why it left", () => {
  const harness = new Harness();
  harness.ok(register("a"), { member: "n2", by: "deployer", at: 1 });
  harness.ok({ ...renewOne("a"), status: "draining" }, { at: 2 });
  harness.ok(
    { kind: "patch", ...aKey("a"), changes: { weight: 2, zone: "z" }, incarnation: null, ifRevision: null },
    { at: 3 },
  );
  harness.ok(
    {
      kind: "setOverride",
      ...aKey("a"),
      layer: { weight: 0, tags: null, status: null, reason: "disk is dying", endsInMs: null },
    },
    { at: 4, by: "operator" },
  );
  harness.ok({ ...register("a"), session: "s2" }, { at: 5 });
  harness.now = 7_000;
  harness.ok(renewOne("a"), { member: "n3" });
  harness.pass(30_000);

  expect(harness.registry.history("default", "web", all)).toEqual([
    line(6, "expired", {
      at: 1_700_000_000_000,
      reason: "not renewed for 30000 ms, last through n3",
      incarnation: 5,
      // Wall time of the expiry, less the cluster time since.
      lastRenewal: 1_700_000_000_000 - 30_000,
    }),
    line(5, "replaced", { at: 5, reason: "registered by another session", incarnation: 5 }),
    line(4, "override", { at: 4, reason: "disk is dying", by: "operator" }),
    line(3, "patched", { at: 3, reason: "changed zone, weight" }),
    line(2, "status", { at: 2, reason: "up -> draining" }),
    line(1, "registered", { at: 1, by: "deployer", member: "n2" }),
  ]);
});

function line(revision: number, type: string, more: object): object {
  const empty = { id: "a", incarnation: 1, reason: null, by: null, member: "n1", lastRenewal: null };
  return { ...empty, revision, type, ...more };
}

test("history is asked for by id and in pages, newest first", () => {
  const harness = new Harness();
  for (const id of ["a", "b", "c"]) harness.ok(register(id));
  harness.ok(deregister("b"));
  harness.ok({
    kind: "setSettings",
    namespace: "default",
    service: "web",
    changes: { protectionMinInstances: 2 },
  });
  const revisions = (query: Partial<HistoryQuery>): number[] =>
    harness.registry.history("default", "web", { ...all, ...query }).map((event) => event.revision);
  expect(revisions({})).toEqual([5, 4, 3, 2, 1]);
  expect(revisions({ id: "b" })).toEqual([4, 2]);
  expect(revisions({ limit: 2 })).toEqual([5, 4]);
  expect(revisions({ beforeRevision: 4, limit: 2 })).toEqual([3, 2]);
  expect(harness.registry.history("default", "unknown", all)).toEqual([]);
});

test("a service keeps a bounded number of lines, in memory and in its records", () => {
  const harness = new Harness();
  const { historyPerService } = registryLimits;
  harness.ok(register("a"));
  for (let i = 0; i < historyPerService; i += 1) {
    harness.ok({ ...renewOne("a"), status: i % 2 === 0 ? "down" : "up" });
    if (i % 50 === 0) harness.save();
  }
  harness.save();
  const lines = harness.registry.history("default", "web", all);
  expect(lines).toHaveLength(historyPerService);
  expect(lines.at(-1)?.revision).toBe(2);
  const records = [...harness.image.keys()].filter((key) => key.startsWith("history/"));
  expect(records).toHaveLength(historyPerService);
  harness.restart();
  expect(harness.registry.history("default", "web", all)).toEqual(lines);
});

test("what protection does to a service is told without an id", () => {
  const harness = new Harness();
  for (let i = 0; i < 5; i += 1) harness.ok(register(`i${i}`));
  harness.pass(30_000);
  const lines = harness.registry.history("default", "web", all);
  const ofService = lines.filter((event) => event.id === null);
  expect(ofService).toMatchObject([{ type: "suspect", reason: "protected: too many were due at once" }]);
  const [held] = lines.filter((event) => event.type === "suspect" && event.id !== null);
  expect(held).toMatchObject({
    id: "i4",
    reason: "overdue, and held by protection: 2 of 5 have expired lately",
    lastRenewal: 1_700_000_000_000 - 30_000,
  });
});
