import { expect, test } from "vitest";
import { hasAtMost } from "../../src/lib/characters.ts";

test("a text's length is that of its characters, however many units each takes", () => {
  expect(hasAtMost(3, "abc")).toBe(true);
  expect(hasAtMost(3, "abcd")).toBe(false);
  expect(hasAtMost(3, "😀😀😀")).toBe(true);
  expect(hasAtMost(3, "😀😀😀😀")).toBe(false);
  expect(hasAtMost(3, "😀😀ab")).toBe(false);
  expect(hasAtMost(0, "")).toBe(true);
});
