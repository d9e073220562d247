// Reads the repository and reports what no other tool looks at.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What is tracked, or would be with the next `git add`: paths from the root, with forward slashes. */
const files = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
  .split("\0")
  .filter((file) => file !== "" && existsSync(join(root, file)));

/** TypeScript of ours, without the planted violations and without this file, which names what it looks for. */
const sources = files.filter(
  (file) =>
    /^(?:src|test|scripts)\/.*\.ts$/.test(file) &&
    !file.startsWith("test/fixtures/lint/") &&
    file !== "test/tidy/tidy.test.ts",
);

function git(...args: readonly string[]): string {
  // A checkout may belong to another user than the one who runs the tests, as in containers.
  return execFileSync("git", ["-c", "safe.directory=*", ...args], { cwd: root, encoding: "utf8" });
}

function linesOf(file: string): readonly string[] {
  return readFileSync(join(root, file), "utf8").split("\n");
}

/** Every line of `among` that matches, as "file:line: text". */
function find(among: readonly string[], pattern: RegExp): readonly string[] {
  return among.flatMap((file) =>
    linesOf(file).flatMap((line, index) =>
      pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [],
    ),
  );
}

/** Files of text; others (pictures, data folders of old versions) are not read. */
function isText(file: string): boolean {
  return (
    !/\.(?:png|jpe?g|gif|ico|woff2?|ldb|wal|bin|gz|zip)$/.test(file) && statSync(join(root, file)).isFile()
  );
}

test("there is something to read", () => {
  expect(files).toContain("package.json");
  expect(sources).toContain("test/tidy/lint-canary.test.ts");
});

test("the top level holds nothing but what the design names", () => {
  const named = new Set([
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "src",
    "test",
    "scripts",
    "docker-compose.yml",
    "README.md",
    "LICENSE",
  ]);
  const entries = new Set(files.map((file) => file.split("/")[0] ?? file));
  expect([...entries].filter((entry) => !named.has(entry) && !entry.startsWith("."))).toEqual([]);
});

test("a file of src holds one concept: at most 450 lines", () => {
  const long = sources
    .filter((file) => file.startsWith("src/"))
    .map((file) => ({ file, lines: linesOf(file).length - 1 }))
    .filter(({ lines }) => lines > 450);
  expect(long).toEqual([]);
});

test("src has no barrels", () => {
  expect(
    files.filter((file) => file.startsWith("src/") && /^index\.[cm]?[jt]sx?$/.test(basename(file))),
  ).toEqual([]);
});

test("no test is left out, and none leaves out the others", () => {
  const tests = sources.filter((file) => file.startsWith("test/"));
  expect(find(tests, /\b(?:test|it|describe|suite)\s*\.(?:\w+\.)*(?:only|skip|todo)\b/)).toEqual([]);
});

test("every TODO gives its reason: `TODO(when or who): what` or `TODO: what and why`", () => {
  expect(find(sources, /\b(?:TODO|FIXME|XXX)\b(?!\s*\([^)]+\):\s*\S|:\s*\S+\s+\S+)/)).toEqual([]);
});

test("no path of one particular machine", () => {
  const searched = files.filter(
    (file) => isText(file) && file !== "package-lock.json" && file !== "test/tidy/tidy.test.ts",
  );
  // Quoted or after a space, as a path begins; an address such as http://host/home/ is none.
  expect(find(searched, /(?:^|[\s"'`=(:])\/(?:work|home\/\w+|Users\/\w+|root)\//)).toEqual([]);
});

test("scripts can be executed", () => {
  const scripts = files.filter((file) => isText(file) && (linesOf(file)[0] ?? "").startsWith("#!"));
  // The entry points in src are made executable by npm, when the package is installed.
  const ours = scripts.filter((file) => !file.startsWith("src/"));
  expect(ours.filter((file) => (statSync(join(root, file)).mode & 0o100) === 0)).toEqual([]);
});

test("the lock file is complete: `npm ci` accepts it on every platform", () => {
  type Lock = { packages: Record<string, { optionalDependencies?: Record<string, string> }> };
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  const missing = Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined &&
        packages[`${place}/node_modules/${name}`] === undefined,
    ),
  );
  expect(missing, "npm run lock").toEqual([]);
});
