// Plants each mutant in a process of its own, and tells how many seeds it took to find it: a row of a Markdown table each.

import { spawn } from "node:child_process";
import type { Mutant } from "../../test/simulation/mutants/mutant.ts";
import { planted } from "../../test/simulation/mutants/planted.ts";
import { mutants } from "../../test/simulation/mutants/table.ts";
import { median, runSeed, withoutStacks } from "../../test/simulation/run-seeds.ts";

const eventsMax = 5000;
/** A mutant that makes the code run for ever is stopped. */
const silenceMaxMs = 600_000;

export const mutantSeedsMax = 2000;

interface HuntOptions {
  readonly base: number;
  /** The most seeds for one mutant. */
  readonly seedsMax: number;
  /** Part of the names of those that are hunted. */
  readonly only: string;
}

interface Finding {
  /** How many seeds were run until it was found; null when it was not. */
  readonly seeds: number | null;
  /** By which checker, or why it was not. */
  readonly how: string;
  readonly seedsRun: number;
  readonly events: number;
}

export async function huntMutants({ base, seedsMax, only }: HuntOptions): Promise<void> {
  withoutStacks();
  const hunted = mutants.filter(({ name }) => name.includes(only));
  const findings: Finding[] = [];
  console.log("| Seeds | | Mutant | Noticed by |\n|---|---|---|---|");
  for (const mutant of hunted) {
    const finding = await hunt(mutant, base, seedsMax);
    findings.push(finding);
    const seeds = finding.seeds ?? "**not found**";
    console.log(`| ${seeds} | ${mutant.catalogue ?? "–"} | ${mutant.name} | ${finding.how} |`);
  }
  summarize(findings, seedsMax);
}

function summarize(findings: readonly Finding[], seedsMax: number): void {
  const found = findings.flatMap(({ seeds }) => (seeds === null ? [] : [seeds]));
  const soon = found.filter((count) => count <= 200).length;
  const seeds = findings.reduce((sum, { seedsRun }) => sum + seedsRun, 0);
  const events = findings.reduce((sum, finding) => sum + finding.events, 0);
  console.log(
    `\n${found.length} of ${findings.length} mutants found within ${seedsMax} seeds of ${eventsMax} events, ${soon} within 200, median ${median(found)}`,
  );
  console.log(
    `${seeds} seeds, ${events} events, ${findings.length} mutants, ${findings.length - found.length} not found`,
  );
  if (found.length < findings.length) process.exitCode = 1;
}

/** A seed that fails without the mutant, too, would find every mutant: it counts for nothing, and the hunt goes on after it. */
async function hunt(mutant: Mutant, base: number, seedsMax: number): Promise<Finding> {
  let seedsRun = 0;
  let events = 0;
  while (seedsRun < seedsMax) {
    const run = await runHunter(mutant, base + seedsRun, seedsMax - seedsRun);
    if (typeof run === "string") return { seeds: null, how: run, seedsRun, events };
    seedsRun += run.seeds;
    events += run.events;
    const isFound = run.seed !== null && runSeed(run.seed, { eventsMax }).violation === null;
    if (isFound) return { seeds: seedsRun, how: run.checker ?? "", seedsRun, events };
  }
  return { seeds: null, how: "", seedsRun, events };
}

/** What hunt.ts prints. */
interface HunterReport {
  readonly seeds: number;
  /** The one that failed; null for none. */
  readonly seed: number | null;
  readonly events: number;
  readonly checker?: string;
}

/** Or why there is no report: a defect of the mutant or of the simulator, and not a find. */
function runHunter(mutant: Mutant, base: number, seedsMax: number): Promise<HunterReport | string> {
  const hunter = new URL("../../test/simulation/mutants/hunt.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [hunter, String(base), String(seedsMax), String(eventsMax)], {
    env: { ...process.env, ...planted(mutant.name) },
  });
  return new Promise((resolve) => {
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    const timer = setTimeout(() => child.kill("SIGKILL"), silenceMaxMs);
    child.on("close", (_code, signal) => {
      clearTimeout(timer);
      if (signal !== null) return resolve(`stopped after ${silenceMaxMs / 60_000} minutes`);
      resolve(readReport(output) ?? lastError(errors) ?? "it did not run");
    });
  });
}

function readReport(output: string): HunterReport | null {
  try {
    return JSON.parse(output) as HunterReport;
  } catch {
    return null;
  }
}

function lastError(errors: string): string | undefined {
  return errors
    .trim()
    .split("\n")
    .findLast((line) => line.includes("Error"));
}
