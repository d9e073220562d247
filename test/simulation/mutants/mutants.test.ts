import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { occurrences } from "./plant.ts";
import { planted } from "./planted.ts";
import { mutants } from "./table.ts";

const source = (file: string): string =>
  readFileSync(new URL(`../../../src/${file}`, import.meta.url), "utf8");

test("there are at least 60 mutants, each with a name of its own", () => {
  expect(mutants.length).toBeGreaterThanOrEqual(60);
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
});

test.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
  'the text that "%s" changes stands once in its file',
  (_name, mutant) => {
    expect(occurrences(source(mutant.file), mutant)).toBe(1);
    expect(mutant.replace).not.toBe(mutant.find);
  },
);

// The hunt itself must work: a simulator that finds nothing looks exactly like correct code.
test.each([
  "a vote is not written down",
  "an append is acknowledged before it is durable",
  "a leader counts what it has not written",
])("the mutant that %s is found", (name) => {
  const hunter = fileURLToPath(new URL("hunt.ts", import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, [hunter, "1", "20", "5000"], {
    encoding: "utf8",
    env: { ...process.env, ...planted(name) },
  });
  expect(stdout, stderr).toMatch(/"checker"/);
});
