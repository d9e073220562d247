import { expect, test } from "vitest";
import { InstanceSet, matches } from "../../src/client/instance-set.ts";
import type { InstanceFilter, WatchEvent } from "../../src/client/types.ts";
import { anInstance } from "../support/client-instance.ts";

const put = (id: string, revision: number): WatchEvent => ({
  type: "put",
  revision,
  instance: anInstance({ id, revision }),
});
const remove = (id: string, revision: number): WatchEvent => ({
  type: "delete",
  revision,
  namespace: "default",
  service: "echo",
  id,
  reason: "expired",
});

function ids(set: InstanceSet): string {
  return set.all.map(({ id, revision }) => `${id}@${revision}`).join(" ");
}

test("events build the list", () => {
  const set = new InstanceSet("echo");
  const events: WatchEvent[] = [
    { type: "snapshot", revision: 5, services: { echo: [anInstance({ id: "b", revision: 2 })] } },
    put("a", 6),
    put("b", 7),
    { type: "sync", revision: 9 },
    remove("b", 10),
    remove("b", 11),
  ];
  expect(events.map((event) => set.apply(event))).toEqual([true, true, true, false, true, false]);
  expect(ids(set)).toBe("a@6");
  expect(set.revision).toBe(11);
});

test("a snapshot replaces everything, and may go back", () => {
  const set = new InstanceSet("echo");
  set.apply(put("a", 6));
  expect(set.apply({ type: "snapshot", revision: 3, services: {} })).toBe(true);
  expect([ids(set), set.revision]).toEqual(["", 3]);
});

test("what is in the list already does not undo what came after it", () => {
  const set = new InstanceSet("echo");
  set.apply(put("a", 6));
  set.apply(remove("a", 7));
  expect(set.apply(put("a", 6))).toBe(false);
  expect([ids(set), set.revision]).toEqual(["", 7]);
});

test("a list that says the same again is no change", () => {
  const set = new InstanceSet("echo");
  const list = [anInstance({ id: "a", revision: 4 })];
  expect(set.replace(list, 4)).toBe(true);
  expect(set.replace(list, 9)).toBe(false);
  expect(set.replace([anInstance({ id: "a", revision: 4, suspect: true })], 9)).toBe(true);
  expect(set.replace([], 10)).toBe(true);
});

test.each<{ filter: InstanceFilter; isMatch: boolean }>([
  { filter: {}, isMatch: true },
  { filter: { status: ["down"] }, isMatch: false },
  { filter: { status: "any" }, isMatch: true },
  { filter: { tags: ["eu", "ssd"] }, isMatch: true },
  { filter: { tags: ["eu", "gpu"] }, isMatch: false },
  { filter: { version: "2" }, isMatch: true },
  { filter: { version: "3" }, isMatch: false },
  { filter: { zone: "a" }, isMatch: true },
  { filter: { zone: "b" }, isMatch: false },
  { filter: { metadata: { k: "v" } }, isMatch: true },
  { filter: { metadata: { k: "w" } }, isMatch: false },
])("the filter $filter matches: $isMatch", ({ filter, isMatch }) => {
  const instance = anInstance({ tags: ["ssd", "eu"], version: "2", zone: "a", metadata: { k: "v" } });
  expect(matches(instance, filter)).toBe(isMatch);
});

test("an instance that is not up is left out unless it is asked for", () => {
  expect(matches(anInstance({ status: "draining" }), {})).toBe(false);
  expect(matches(anInstance({ status: "draining" }), { status: ["up", "draining"] })).toBe(true);
});
