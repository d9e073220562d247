import { expect, test } from "vitest";
import { ListsInCommon } from "../../src/registry/lists-in-common.ts";
import type { Declaration, Instance } from "../../src/registry/model.ts";
import { aDeclaration, aKey } from "../support/commands.ts";

/** One that shares nothing with any other: its lists and strings are its own. */
function instance(changes: Partial<Declaration>): Instance {
  return {
    ...aKey("a"),
    incarnation: 1,
    revision: 2,
    session: "s1",
    declared: structuredClone(aDeclaration(changes)),
    override: null,
    registeredAt: 3,
    suspect: false,
  };
}

test("equal lists become one, and the instance stays what it was", () => {
  const lists = new ListsInCommon();
  const given = instance({ tags: ["blue"], metadata: [["owner", "payments"]], zone: "eu-1a" });
  const first = lists.withLists(given);
  const second = lists.withLists(structuredClone(given));
  expect(first).toEqual(given);
  expect(second).toEqual(given);
  expect(second.declared.tags).toBe(first.declared.tags);
  expect(second.declared.metadata).toBe(first.declared.metadata);
});

test("lists of more than 256 characters are left as they are", () => {
  const lists = new ListsInCommon();
  // With the brackets and quotes around it.
  const longest = "x".repeat(256 - 4);
  const tagsOf = (tag: string): readonly string[] => lists.withLists(instance({ tags: [tag] })).declared.tags;
  expect(tagsOf(longest)).toBe(tagsOf(longest));
  expect(tagsOf(`${longest}x`)).not.toBe(tagsOf(`${longest}x`));
  expect(tagsOf(`${longest}x`)).toEqual([`${longest}x`]);
});

test("10,000 different lists are kept, and later ones are left as they are", () => {
  const lists = new ListsInCommon();
  const tagsOf = (i: number): readonly string[] =>
    lists.withLists(instance({ tags: [`t${i}`] })).declared.tags;
  const first = Array.from({ length: 10_001 }, (_, i) => tagsOf(i));
  expect(tagsOf(9_999)).toBe(first[9_999]);
  expect(tagsOf(10_000)).not.toBe(first[10_000]);
  expect(tagsOf(10_000)).toEqual(["t10000"]);
});
