import { expect, test } from "vitest";
import { FingerprintSum, fingerprint, fingerprintText } from "../../src/registry/hash.ts";

const of = (value: unknown, key = "k"): string => fingerprintText(fingerprint(key, value));

test("values that look alike have different fingerprints", () => {
  const values = [
    null,
    0,
    1,
    -1,
    "",
    "1",
    true,
    false,
    [],
    [[]],
    [1],
    ["1"],
    [1, 2],
    [[1], 2],
    [1, [2]],
    "a",
    "b",
    "ab",
    ["a", "b"],
    ["ab"],
    2 ** 32,
    2 ** 40,
    2 ** 53 - 1,
    -(2 ** 32),
    [null],
    [0],
  ];
  expect(new Set(values.map((value) => of(value))).size).toBe(values.length);
});

test("the key counts, and a fingerprint is 16 hex digits", () => {
  expect(of(1, "a")).not.toBe(of(1, "b"));
  expect(of(1)).toMatch(/^[0-9a-f]{16}$/);
  expect(of([1, "x", null])).toBe(of([1, "x", null]));
});

test("a sum does not depend on the order, and does on every part", () => {
  const parts = ["a", "b", "c"].map((key) => fingerprint(key, key));
  const sum = (list: typeof parts): string => {
    const total = new FingerprintSum();
    for (const part of list) total.add(part);
    return total.text();
  };
  expect(sum(parts)).toBe(sum(parts.toReversed()));
  expect(sum(parts)).not.toBe(sum(parts.slice(1)));
});

test("a hundred thousand similar records have a hundred thousand fingerprints", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 100_000; i += 1) seen.add(of([i, "10.0.0.1", 8080], `instance/default/web/i${i}`));
  expect(seen.size).toBe(100_000);
});
