import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { OptionLimits } from "./options.ts";
import { violationReport } from "./report.ts";
import { runSeedsInParallel } from "./run-in-parallel.ts";
import { notReached } from "./rare-marks.ts";
import { runSeed, type SeedResult, Totals } from "./run-seeds.ts";
import { knownSeeds } from "./seeds.ts";

/** How long fresh seeds are run. It bounds how many there are, and decides nothing else. */
const freshSeconds = Number(process.env["SIMULATION_SECONDS"] ?? 60);

/** The first of the fresh seeds; drawn if it is not given. */
const freshBase = process.env["SIMULATION_BASE"];

/** Within so many short runs each of the rare things has happened. */
const raritySeedsMax = 400;

function told(result: SeedResult, limits: OptionLimits = {}): string {
  return result.violation === null ? "" : violationReport(result, limits);
}

test.each(knownSeeds)("seed $seed, which once failed ($cause), holds", ({ seed, cause, ...limits }) => {
  const result = runSeed(seed, limits);
  expect(result.violation, `${cause}: ${told(result, limits)}`).toBeNull();
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
  const limits = { eventsMax: 10_000, noFaults: true };
  const result = runSeed(3, limits);
  expect(result.violation, told(result, limits)).toBeNull();
  expect(result.entries).toBeGreaterThan(100);
  expect(result.faults).toBe(0);
});

test("runs reach the rare things that they are there for", () => {
  const totals = new Totals();
  const limits = { eventsMax: 4000 };
  for (let seed = 1; seed <= raritySeedsMax && notReached(totals.marks).length > 0; seed += 1) {
    const result = runSeed(seed, limits);
    expect(result.violation, told(result, limits)).toBeNull();
    totals.add(result);
  }
  expect(notReached(totals.marks)).toEqual([]);
});

test("seeds that run in several threads come to the same as one after the other", async () => {
  const limits = { eventsMax: 2000 };
  const seeds = [7, 8, 9, 10];
  const alone = seeds.map((seed) => runSeed(seed, limits));
  const left = [...seeds];
  const violations: string[] = [];
  const totals = await runSeedsInParallel(2, {
    next: () => left.shift() ?? null,
    limits,
    onViolation: (result) => violations.push(told(result, limits)),
  });
  expect(violations).toEqual([]);
  expect(totals.seeds).toBe(seeds.length);
  expect(totals.eventsOf.toSorted((a, b) => a - b)).toEqual(
    alone.map(({ events }) => events).toSorted((a, b) => a - b),
  );
  expect(totals.faults).toBe(alone.reduce((sum, { faults }) => sum + faults, 0));
});

test("a run that breaks down counts as a violation, and the next seed is run all the same", async () => {
  const checkers: string[] = [];
  const seeds = [7, 8];
  const totals = await runSeedsInParallel(1, {
    next: () => seeds.shift() ?? null,
    // Clients without anybody to ask.
    limits: { members: 0 },
    onViolation: ({ violation }) => checkers.push(violation!.checker),
  });
  expect(checkers).toEqual(["broke down", "broke down"]);
  expect(totals.violations).toBe(2);
});

test(
  `fresh seeds hold, as many as fit into ${freshSeconds} s`,
  async () => {
    const first = Number(freshBase ?? Math.floor(Math.random() * 1_000_000_000));
    const endMs = performance.now() + freshSeconds * 1000;
    let given = 0;
    const failures: string[] = [];
    const totals = await runSeedsInParallel(availableParallelism(), {
      next: () =>
        failures.length === 0 && (given === 0 || performance.now() < endMs) ? first + given++ : null,
      limits: {},
      onViolation: (result) => failures.push(told(result)),
    });
    console.log(`${totals.seeds} seeds from ${first}, ${totals.events} events, ${totals.faults} faults`);
    expect(failures, failures.join("\n")).toEqual([]);
  },
  freshSeconds * 2000 + 120_000,
);
