import { expect, test } from "vitest";
import type { InstanceFilter } from "../../src/registry/view.ts";
import { aKey, deregister, register } from "../support/commands.ts";
import { everything, Harness } from "./harness.ts";

function shop(): Harness {
  const harness = new Harness();
  harness.ok(register("b", { version: "1", zone: "z1", tags: ["blue", "ssd"], metadata: [["team", "x"]] }));
  harness.ok(register("a", { version: "2", zone: "z1", tags: ["blue"], metadata: [["team", "y"]] }));
  harness.ok(register("c", { status: "draining", zone: "z2" }));
  harness.ok(register("B", { status: "starting" }));
  return harness;
}

type Case = readonly [title: string, filter: Partial<InstanceFilter>, ids: readonly string[]];

const cases: readonly Case[] = [
  ["nothing in particular", {}, ["B", "a", "b", "c"]],
  ["one status", { statuses: ["up"] }, ["a", "b"]],
  ["several statuses", { statuses: ["draining", "starting"] }, ["B", "c"]],
  ["no status at all", { statuses: [] }, []],
  ["a tag", { tags: ["blue"] }, ["a", "b"]],
  ["all of several tags", { tags: ["blue", "ssd"] }, ["b"]],
  ["a version", { version: "2" }, ["a"]],
  ["a zone", { zone: "z1" }, ["a", "b"]],
  ["metadata", { metadata: [["team", "x"]] }, ["b"]],
  ["a name that every object has", { metadata: [["constructor", "x"]] }, []],
  ["all at once", { statuses: ["up"], tags: ["blue"], zone: "z1", version: "1" }, ["b"]],
];

test.each(cases)("discovery by %s, in order of id", (_title, filter, ids) => {
  const asked = { ...everything, ...filter };
  const { registry } = shop();
  expect(registry.instances("default", "web", asked).map((instance) => instance.id)).toEqual(ids);
  const explained = registry.explain("default", "web", asked);
  expect(explained.filter(({ returned }) => returned).map(({ id }) => id)).toEqual(ids);
  for (const { returned, reasons } of explained) expect(reasons.length === 0).toBe(returned);
});

test("explain gives one sentence for each condition that is not met", () => {
  const harness = shop();
  harness.ok({
    kind: "setOverride",
    ...aKey("b"),
    layer: { weight: null, tags: [], status: "down", reason: "on fire", endsInMs: null },
  });
  const filter: InstanceFilter = {
    statuses: ["up", "starting"],
    tags: ["ssd"],
    version: "1",
    zone: "z9",
    metadata: [["team", "y"]],
  };
  expect(harness.registry.explain("default", "web", filter).find(({ id }) => id === "b")).toEqual({
    id: "b",
    returned: false,
    reasons: [
      "status is down by an operator's override (on fire), and up or starting was asked for",
      'zone is "z1", and "z9" was asked for',
      'it has no tag "ssd"',
      'metadata "team" is "x", and "y" was asked for',
    ],
  });
});

test("an unknown service is empty, and not an error", () => {
  const { registry } = shop();
  expect(registry.instances("default", "nope", everything)).toEqual([]);
  expect(registry.explain("nope", "web", everything)).toEqual([]);
  expect(registry.service("default", "nope")).toEqual({
    namespace: "default",
    name: "nope",
    revision: 0,
    instances: { total: 0, up: 0, starting: 0, draining: 0, down: 0, suspect: 0 },
    protected: false,
  });
});

test("the order of ids stays right while instances come and go between queries", () => {
  const harness = new Harness();
  for (const id of ["m", "c", "x"]) harness.ok(register(id));
  expect(harness.ids()).toEqual(["c", "m", "x"]);
  for (const id of ["a", "z", "n"]) harness.ok(register(id));
  harness.ok(deregister("m"));
  expect(harness.ids()).toEqual(["a", "c", "n", "x", "z"]);
});

test("services come sorted by name, by prefix, and in pages; empty ones that are remembered included", () => {
  const harness = new Harness();
  for (const name of ["web-b", "api", "web-a", "web", "zoo"]) harness.ok(register("a", {}, name));
  harness.ok({ ...deregister("a"), service: "web-a" });
  const names = (prefix: string, after: string | null, limit = 10): string[] =>
    harness.registry.services("default", { prefix, after, limit }).map(({ name }) => name);
  expect(names("", null)).toEqual(["api", "web", "web-a", "web-b", "zoo"]);
  expect(names("web", null)).toEqual(["web", "web-a", "web-b"]);
  expect(names("web", null, 2)).toEqual(["web", "web-a"]);
  expect(names("web", "web-a")).toEqual(["web-b"]);
  expect(names("web", "aaa")).toEqual(["web", "web-a", "web-b"]);
  expect(names("", "web-gone")).toEqual(["zoo"]);
  expect(names("web-", "zzz")).toEqual([]);
  expect(harness.registry.services("nope", { prefix: "", after: null, limit: 1 })).toEqual([]);
});

test("namespaces are counted and sorted", () => {
  const harness = shop();
  harness.ok({ ...register("a", {}, "api"), namespace: "blue" });
  harness.ok({ ...register("b", {}, "web"), namespace: "blue" });
  expect(harness.registry.namespaces()).toEqual([
    { name: "blue", services: 2, instances: 2 },
    { name: "default", services: 1, instances: 4 },
  ]);
  expect(harness.registry.instanceCount).toBe(6);
  expect(harness.registry.leaseCount).toBe(6);
});

test("a service's summary counts its instances by what everybody sees", () => {
  expect(shop().registry.service("default", "web")).toMatchObject({
    revision: 4,
    instances: { total: 4, up: 2, starting: 1, draining: 1, down: 0, suspect: 0 },
  });
});
