import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConfigFile, readSecret } from "../../src/config/read-file.ts";

const folder = mkdtempSync(join(tmpdir(), "rollcall-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a config file that is not there, or is a folder, is said in one sentence", () => {
  const missing = join(folder, "missing.json");
  expect(() => readConfigFile(missing)).toThrow(
    `The config file ${missing} cannot be read: there is no such file.`,
  );
  expect(() => readConfigFile(folder)).toThrow(`The config file ${folder} cannot be read: it is a folder.`);
});

test("a secret is the first line of its file, and a short one is refused without being shown", () => {
  const file = join(folder, "secret");
  writeFileSync(file, "0123456789abcdef \nanother line\n");
  expect(readSecret(file)).toBe("0123456789abcdef");
  writeFileSync(file, "hunter2");
  expect(() => readSecret(file)).toThrow(/at least 16 characters/);
  expect(() => readSecret(file)).not.toThrow(/hunter2/);
});
