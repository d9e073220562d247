import { expect, test } from "vitest";
import { nearestName } from "../../src/lib/nearest-name.ts";

const fields = ["host", "port", "scheme", "version", "metadata", "ttlMs"];

test.each([
  ["metdata", "metadata"],
  ["shceme", "scheme"],
  ["ttlms", "ttlMs"],
  ["ports", "port"],
  ["color", null],
  ["hxxt", null],
  ["", null],
  ["xy", null],
])("%j was probably meant as %j", (name, meant) => {
  expect(nearestName(name, fields)).toBe(meant);
});
