import { expect, test } from "vitest";
import { asTable, type Column } from "../../src/cli/output.ts";

const columns: readonly Column<readonly [string, boolean | null]>[] = [
  { title: "NAME", of: ([name]) => name },
  { title: "OK", of: ([, ok]) => ok },
];
const rows = [
  ["a", true],
  ["longer", null],
] as const;

test("people get columns, without blanks at the ends of lines", () => {
  expect(asTable(rows, columns, { forPeople: true })).toBe("NAME    OK\na       yes\nlonger  -");
});

test("programs get tabs, without a head line", () => {
  expect(asTable(rows, columns, { forPeople: false })).toBe("a\tyes\nlonger\t");
  expect(asTable([], columns, { forPeople: false })).toBe("");
});
