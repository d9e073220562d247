import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runSeed, runSeeds } from "./run-seeds.ts";
import { knownSeeds } from "./seeds.ts";
import type { RunResult } from "./simulation.ts";

/** How long fresh seeds are run. It bounds how many there are, and decides nothing else. */
const freshSeconds = Number(process.env["ROLLCALL_SIMULATION_SECONDS"] ?? 60);

function told({ seed, violation }: RunResult): string {
  return `${violation?.checker}: ${violation?.message}\n  replay: ./scripts/simulate --seed ${seed} --trace`;
}

test.each(knownSeeds)("seed $seed, which once failed ($cause), holds", ({ seed, eventsMax }) => {
  const result = runSeed(seed, { eventsMax });
  expect(result.violation, told(result)).toBeNull();
});

test("the same seed does the same, twice in a process and in two processes", () => {
  const script = fileURLToPath(new URL("trace-hashes.ts", import.meta.url));
  const elsewhere = spawnSync(process.execPath, [script, "7", "3", "3000"], { encoding: "utf8" });
  const hashes = [7, 8, 9].map((seed) => runSeed(seed, { eventsMax: 3000 }).traceHash);
  expect([7, 8, 9].map((seed) => runSeed(seed, { eventsMax: 3000 }).traceHash)).toEqual(hashes);
  expect(elsewhere.stdout.trim().split("\n"), elsewhere.stderr).toEqual(hashes);
  expect(new Set(hashes).size).toBe(3);
});

test("without faults nothing goes wrong, and much is done", () => {
  const result = runSeed(3, { eventsMax: 10_000, noFaults: true });
  expect(result.violation, told(result)).toBeNull();
  expect(result.entries).toBeGreaterThan(100);
  expect(result.faults).toBe(0);
});

test("runs reach the rare things that they are there for", () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 25; seed += 1) {
    const result = runSeed(seed, { eventsMax: 4000 });
    expect(result.violation, told(result)).toBeNull();
    for (const [mark, count] of result.marks) seen.set(mark, (seen.get(mark) ?? 0) + count);
  }
  const rare = [
    "truncated",
    "recovered",
    "removed",
    "transferStarted",
    "snapshotInstalled",
    "membershipChanged",
    "diskFailed",
  ];
  for (const mark of rare) expect(seen.get(mark) ?? 0, mark).toBeGreaterThan(0);
});

test(
  `fresh seeds hold, as many as fit into ${freshSeconds} s`,
  () => {
    const first = Math.floor(Math.random() * 1_000_000_000);
    const endMs = performance.now() + freshSeconds * 1000;
    let given = 0;
    const failures: string[] = [];
    const next = (): number | null =>
      failures.length === 0 && (given === 0 || performance.now() < endMs) ? first + given++ : null;
    const totals = runSeeds(next, {}, (result) => failures.push(told(result)));
    console.log(`${totals.seeds} seeds from ${first}, ${totals.events} events, ${totals.faults} faults`);
    expect(failures).toEqual([]);
  },
  freshSeconds * 2000 + 120_000,
);
