// Which share of the lines of core, driver, write-ahead log and registry ran, by V8's own counts.
//
// V8 must count from before the files are loaded, or it says nothing of functions that were never called: so the run is a process of its own.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import type { Profiler } from "node:inspector";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

/** What a run of members goes through. */
const folders = ["raft", "registry", "registry/apply", "replica", "storage", "storage/wal", "storage/state"];

/** Files in these folders that no simulated member uses, and that have tests of their own. Any other that is not even loaded is missed. */
const elsewhere = new Set([
  // The first start, and what a member does around its life.
  "replica/after-start.ts",
  "replica/bootstrap.ts",
  "replica/bootstrap-rules.ts",
  "replica/foreign-cluster.ts",
  "replica/join-client.ts",
  "replica/node-http.ts",
  "replica/stop-on-signals.ts",
  // Shells that make promises, timers, log lines or metrics of what is simulated.
  "replica/log-events.ts",
  "replica/member-sample.ts",
  "replica/node-runtime.ts",
  "replica/promised-member.ts",
  // The real disk.
  "storage/disk-room.ts",
  "storage/durable-path.ts",
  "storage/folder-lock.ts",
  "storage/node-disk.ts",
  "storage/open-member.ts",
  "storage/state/level-stores.ts",
  // Backups, and commands that look into folders of members that are down.
  "replica/backup.ts",
  "storage/backup-file.ts",
  "storage/image-copy.ts",
  "storage/inspect.ts",
  "storage/new-cluster.ts",
  "storage/replayed-state.ts",
  "storage/save-backup.ts",
  "storage/survivors.ts",
]);

/** What of these files' lines a run has to reach, in percent. */
const shareMin = 90;

/** Of the run. Only violations are long. */
const outputBytesMax = 64 * 1024 * 1024;

/** Runs ./scripts/simulate with these arguments. Sets the exit status to 1 when that does, or when too little ran. */
export function measureCoverage(args: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-coverage-"));
  const program = [...process.execArgv, fileURLToPath(new URL("simulate.ts", import.meta.url)), ...args];
  const { stdout, status } = spawnSync(process.execPath, program, {
    env: { ...process.env, NODE_V8_COVERAGE: folder },
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: outputBytesMax,
  });
  const lines = stdout.trimEnd().split("\n");
  const totals = lines.pop();
  console.log(lines.join("\n"));
  // One file a thread.
  const threads = readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Profiler.TakePreciseCoverageReturnType,
  );
  rmSync(folder, { recursive: true });
  const isEnough = printCoverage(threads.flatMap(({ result }) => result));
  console.log(totals);
  if (status !== 0 || !isEnough) process.exitCode = 1;
}

function printCoverage(scripts: readonly Profiler.ScriptCoverage[]): boolean {
  const byUrl = Map.groupBy(scripts, (script) => script.url);
  const total = { all: 0, ran: 0 };
  const parts = new Map<string, { all: number; ran: number }>();
  const notLoaded: string[] = [];
  for (const file of files()) {
    const url = new URL(`src/${file}`, root);
    const source = readFileSync(url, "utf8");
    const threads = byUrl.get(url.href);
    if (threads === undefined) {
      if (hasCode(source)) notLoaded.push(file);
      continue;
    }
    const lines = countLines(source, threads);
    const name = file.split("/")[0]!;
    const part = parts.get(name) ?? { all: 0, ran: 0 };
    parts.set(name, part);
    for (const sum of [part, total]) {
      sum.all += lines.all;
      sum.ran += lines.ran;
    }
    const missed = lines.missed.length === 0 ? "" : `  not: ${ranges(lines.missed)}`;
    if (lines.all > 0) console.log(`${percent(lines.ran, lines.all)} ${file.padEnd(40)}${missed}`);
  }
  for (const [name, { all, ran }] of parts)
    console.log(`${percent(ran, all)} of ${all} lines of src/${name}`);
  console.log(
    `${percent(total.ran, total.all)} of ${total.all} lines in all; at least ${shareMin} % is asked for`,
  );
  if (notLoaded.length > 0) console.log(`never loaded, and not said to be: ${notLoaded.join(", ")}`);
  return total.ran * 100 >= shareMin * total.all && notLoaded.length === 0;
}

/** Whether anything is left of it without its types, imports and comments: who only declares types is never loaded. */
function hasCode(source: string): boolean {
  const program = stripTypeScriptTypes(source).replaceAll(/\/\*.*?\*\/|\/\/.*$|^import [^;]*;/gms, "");
  return program.trim() !== "";
}

function files(): string[] {
  return folders.flatMap((folder) =>
    readdirSync(fileURLToPath(new URL(`src/${folder}`, root)))
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`)
      .filter((file) => !elsewhere.has(file)),
  );
}

interface Lines {
  readonly all: number;
  readonly ran: number;
  readonly missed: readonly number[];
}

/** Lines of code inside of functions: what stands outside of them runs whenever the file is loaded. */
function countLines(source: string, threads: readonly Profiler.ScriptCoverage[]): Lines {
  const counts = new Int32Array(source.length).fill(-1);
  for (const thread of threads) {
    const own = countsOf(source.length, thread);
    for (let i = 0; i < counts.length; i += 1) counts[i] = Math.max(counts[i]!, own[i]!);
  }
  let all = 0;
  let ran = 0;
  const missed: number[] = [];
  let offset = 0;
  for (const [i, line] of source.split("\n").entries()) {
    const code = line.trim();
    const at = offset + line.indexOf(code);
    offset += line.length + 1;
    if (!isCode(code) || counts[at]! < 0) continue;
    all += 1;
    if (counts[at]! > 0) ran += 1;
    else missed.push(i + 1);
  }
  return { all, ran, missed };
}

/** How often each character's code ran; -1 outside of functions. */
function countsOf(length: number, { functions }: Profiler.ScriptCoverage): Int32Array {
  const counts = new Int32Array(length).fill(-1);
  const isWhole = ({ ranges: [range] }: Profiler.FunctionCoverage): boolean =>
    range !== undefined && range.startOffset === 0 && range.endOffset >= length;
  // Inner ranges come after the outer ones, and say it more exactly.
  const blocks = functions.filter((each) => !isWhole(each)).flatMap(({ ranges: inner }) => inner);
  blocks.sort((one, other) => one.startOffset - other.startOffset || other.endOffset - one.endOffset);
  for (const { startOffset, endOffset, count } of blocks) counts.fill(count, startOffset, endOffset);
  return counts;
}

function isCode(line: string): boolean {
  return (
    line !== "" &&
    !/^(\/\/|\/\*|\*|import |export type |export interface |readonly |[\])}(;,\s]*$|\| )/.test(line)
  );
}

function ranges(lines: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < lines.length; i += 1) {
    const first = lines[i]!;
    while (lines[i + 1] === lines[i]! + 1) i += 1;
    parts.push(first === lines[i] ? String(first) : `${first}-${lines[i]}`);
  }
  return parts.join(" ");
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(whole, 1)).toFixed(1).padStart(5)} %`;
}
