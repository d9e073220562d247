// A linter that finds nothing looks exactly like clean code. So violations are planted in test/fixtures/lint/src, each
// file saying at its top what must be reported about it, and the repository's own lint command is run on them in a copy
// of the repository's set-up: every planted violation must be found, and nothing else.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = join(root, "test/fixtures/lint");

type Report = { readonly diagnostics: readonly { message: string; code?: string; filename: string }[] };

const files = readdirSync(fixtures, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll("\\", "/"))
  .toSorted();

let copy = "";
const reported = new Map<string, string[]>();

beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), "rollcall-lint-"));
  for (const part of ["package.json", "tsconfig.json", ".oxlintrc.json", "scripts/lint"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  cpSync(fixtures, copy, { recursive: true });
  mkdirSync(join(copy, "test"));
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));

  const manifest = JSON.parse(readFileSync(join(copy, "package.json"), "utf8")) as {
    scripts: { lint: string };
  };
  const output = await run(`${manifest.scripts.lint} --format=json`);
  for (const { code, message, filename } of (JSON.parse(output) as Report).diagnostics) {
    const file = filename.replaceAll("\\", "/");
    const rule = /\((.*)\)$/.exec(code ?? "")?.[1] ?? "";
    reported.set(file, [...(reported.get(file) ?? []), `${rule}: ${message}`]);
  }
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** The command's standard output, whatever its exit status: finding violations is a failure to the linter. */
function run(command: string): Promise<string> {
  const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
  return new Promise((resolve) => {
    execFile("sh", ["-c", command], { cwd: copy, env, maxBuffer: 1 << 26 }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

test("there are planted violations and clean files", () => {
  expect(files.length).toBeGreaterThan(40);
});

test.each(files)("%s is reported for exactly what it says", (file) => {
  const text = readFileSync(join(fixtures, file), "utf8");
  const planted = [...text.matchAll(/^\/\/ Must be flagged: (.*)$/gm)].map((match) => match[1] ?? "");
  expect(planted.length > 0, "says either what must be flagged or that nothing must").toBe(
    !text.startsWith("// Must not be flagged."),
  );

  const found = reported.get(file) ?? [];
  expect(found.map((line) => planted.find((expected) => matches(line, expected)) ?? line).toSorted()).toEqual(
    planted.toSorted(),
  );
});

/** Rule for rule, and the planted message (which may leave out the linter's own explanations) within the reported one. */
function matches(line: string, planted: string): boolean {
  const [rule = "", message = ""] = planted.split(/: (.*)/s);
  return line.split(": ")[0]?.endsWith(rule.replace(/^.*\//, "")) === true && line.includes(message);
}
