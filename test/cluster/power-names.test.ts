// What the harness of power losses takes back of names, seen with processes that change names and do or do not sync their folders.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UnsyncedNames } from "../../scripts/lib/torture/power-names.ts";
import { compileShim } from "../../scripts/lib/torture/power.ts";
import { hasCompiler } from "../support/has-compiler.ts";

const durablePath = new URL("../../src/storage/durable-path.ts", import.meta.url);

let root = "";
let data = "";

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "rollcall-names-"));
  data = join(root, "data");
});

afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

/** Runs the code as a member would run, and kills it at its end. */
function runAndKill(shim: string, names: UnsyncedNames, code: string): void {
  const begin = `
    const fs = require("node:fs");
    const at = (path) => require("node:path").join(${JSON.stringify(data)}, path);
    const sync = (path) => { const file = fs.openSync(at(path), "r"); fs.fsyncSync(file); fs.closeSync(file); };`;
  const end = `process.kill(process.pid, "SIGKILL");`;
  const args = ["--disable-warning=ExperimentalWarning", "-e", `(async () => {${begin}${code}\n${end}})()`];
  const env = { ...process.env, LD_PRELOAD: shim, ...names.environment() };
  const { signal, stderr } = spawnSync(process.execPath, args, { env });
  expect(signal, stderr.toString()).toBe("SIGKILL");
}

function filesBelow(folder: string): readonly string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(join(folder, name)).isFile())
    .map((name) => `${name}: ${fs.readFileSync(join(folder, name), "utf8")}`)
    .toSorted();
}

/** Of the changes since the last sync of their folder none is left, and of each folder those before the first one that is lost. */
const losesAll = (): number => 0;

const changes = `
  fs.renameSync(at("renamed"), at("replaced"));
  fs.unlinkSync(at("removed"));
  fs.writeFileSync(at("new"), "new");
  fs.mkdirSync(at("made"));
  fs.writeFileSync(at("made/file"), "in it");
  fs.renameSync(at("moved"), at("other/moved"));
  fs.rmSync(at("gone"), { recursive: true });`;

const before = [
  "gone/file: in it",
  "moved: moved",
  "removed: removed",
  "renamed: renamed",
  "replaced: replaced",
];
const after = ["made/file: in it", "new: new", "other/moved: moved", "replaced: renamed"];

function prepare(): void {
  fs.mkdirSync(join(data, "other"), { recursive: true });
  fs.mkdirSync(join(data, "gone"));
  for (const line of before) {
    const [path = "", bytes = ""] = line.split(": ");
    fs.writeFileSync(join(data, path), bytes);
  }
  expect(filesBelow(data)).toEqual(before);
}

test.skipIf(!hasCompiler())("every change of a name is taken back when its folder was not synced", () => {
  prepare();
  const names = new UnsyncedNames(data);
  runAndKill(compileShim(root), names, changes);
  expect(filesBelow(data)).toEqual(after);
  expect(names.cut(losesAll)).toBeGreaterThan(6);
  expect(filesBelow(data)).toEqual(before);
  expect(names.cut(losesAll)).toBe(0);
});

test.skipIf(!hasCompiler())("a synced folder keeps its names, and what follows the sync is lost", () => {
  prepare();
  const names = new UnsyncedNames(data);
  const syncs = `for (const path of ["made", "other", ""]) sync(path);`;
  runAndKill(compileShim(root), names, `${changes}${syncs} fs.writeFileSync(at("late"), "late");`);
  expect(names.cut(losesAll)).toBe(1);
  expect(filesBelow(data)).toEqual(after);
});

test.skipIf(!hasCompiler())("a sync of a folder is not one of those below it or above it", () => {
  const names = new UnsyncedNames(data);
  const shim = compileShim(root);
  const make = `fs.mkdirSync(at("")); fs.mkdirSync(at("below")); fs.writeFileSync(at("below/file"), "file");`;
  runAndKill(shim, names, `${make} sync(".."); sync("");`);
  names.cut(losesAll);
  expect(fs.readdirSync(join(data, "below"))).toEqual([]);
  fs.rmdirSync(join(data, "below"));
  fs.rmdirSync(data);
  runAndKill(shim, names, `${make} sync("below"); sync("");`);
  names.cut(losesAll);
  expect(fs.existsSync(data)).toBe(false);
});

test.skipIf(!hasCompiler())(
  "a folder that a process made, and was killed before it synced its name, is durable once the next one has opened it",
  () => {
    const names = new UnsyncedNames(data);
    const shim = compileShim(root);
    const make = `fs.mkdirSync(at("")); fs.mkdirSync(at("below"));`;
    runAndKill(shim, names, make);
    names.cut(losesAll);
    expect(fs.existsSync(data)).toBe(false);
    runAndKill(shim, names, make);
    runAndKill(
      shim,
      names,
      `await (await import(${JSON.stringify(durablePath.href)})).makeDurablePath(at("below"));`,
    );
    names.cut(losesAll);
    expect(fs.existsSync(join(data, "below"))).toBe(true);
  },
);
