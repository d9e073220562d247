import { expect, test } from "vitest";
import { AnswerCache } from "../../src/http/answer-cache.ts";

test("an answer is encoded once for each question and revision", () => {
  const cache = new AnswerCache();
  let encoded = 0;
  const ask = (query: string, revision: number) =>
    cache.answer(query, revision, () => `${query} at ${revision}, encoding ${(encoded += 1)}`);
  const first = ask("a", 1);
  expect(ask("a", 1)).toBe(first);
  expect([ask("b", 1).bytes.toString(), ask("a", 2).bytes.toString()]).toEqual([
    "b at 1, encoding 2",
    "a at 2, encoding 3",
  ]);
  expect(ask("a", 2).etag).not.toBe(first.etag);
});

test("the tag is that of the bytes: another cluster at the same revision has another", () => {
  const tag = (body: string): string => new AnswerCache().answer("a", 7, () => body).etag;
  expect(tag("one")).toBe(tag("one"));
  expect(tag("one")).not.toBe(tag("other"));
});

test("beyond its bytes the cache drops what was not used for longest, and never keeps what alone is larger", () => {
  const cache = new AnswerCache(4_000);
  let encoded = 0;
  const ask = (query: string, size = 1_000) => {
    cache.answer(query, 1, () => {
      encoded += 1;
      return "x".repeat(size);
    });
    return encoded;
  };
  expect([ask("a"), ask("b"), ask("a")]).toEqual([1, 2, 2]);
  expect(ask("c")).toBe(3);
  expect([ask("a"), ask("b")]).toEqual([3, 4]);
  expect([ask("large", 5_000), ask("large", 5_000)]).toEqual([5, 6]);
  expect(ask("b")).toBe(6);
});
