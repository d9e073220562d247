// Plants each mutant in a process of its own, and tells how many seeds it took to find it.

import { spawn } from "node:child_process";
import type { Mutant } from "../../test/simulation/mutants/mutant.ts";
import { mutants } from "../../test/simulation/mutants/table.ts";
import { median, runSeed } from "../../test/simulation/run-seeds.ts";

const eventsMax = 5000;
/** A mutant that makes the code run for ever is found by that. */
const silenceMaxMs = 600_000;

interface Finding {
  readonly mutant: Mutant;
  /** How many seeds were run until it was found; null when it was not. */
  readonly seeds: number | null;
  readonly how: string;
}

export const mutantSeedsMax = 2000;

interface HuntOptions {
  readonly base: number;
  /** The most seeds for one mutant. */
  readonly seedsMax: number;
  /** Part of the names of those that are hunted. */
  readonly only: string;
}

export async function huntMutants({ base, seedsMax, only }: HuntOptions): Promise<void> {
  const hunted = mutants.filter(({ name }) => name.includes(only));
  const findings: Finding[] = [];
  let events = 0;
  let seeds = 0;
  for (const mutant of hunted) {
    const { finding, totals } = await hunt(mutant, base, seedsMax);
    findings.push(finding);
    events += totals.events;
    seeds += totals.seeds;
    const found =
      finding.seeds === null ? "NOT FOUND" : `found in ${String(finding.seeds).padStart(4)} seeds`;
    console.log(
      `${found.padEnd(20)} ${(mutant.catalogue ?? "-").padEnd(4)} ${mutant.name.padEnd(64)} ${finding.how}`,
    );
  }
  const found = findings.flatMap(({ seeds: count }) => (count === null ? [] : [count]));
  const soon = found.filter((count) => count <= 200).length;
  console.log(
    `${found.length} of ${hunted.length} mutants found within ${seedsMax} seeds of ${eventsMax} events, ${soon} within 200, median ${median(found)}`,
  );
  console.log(
    `${seeds} seeds, ${events} events, ${hunted.length} mutants, ${hunted.length - found.length} not found`,
  );
  if (found.length < hunted.length) process.exitCode = 1;
}

interface Hunt {
  readonly finding: Finding;
  readonly totals: { readonly seeds: number; readonly events: number };
}

function hunt(mutant: Mutant, base: number, seedsMax: number): Promise<Hunt> {
  const path = (name: string): string =>
    new URL(`../../test/simulation/mutants/${name}`, import.meta.url).pathname;
  const args = [
    "--disable-warning=ExperimentalWarning",
    "--import",
    path("loader.ts"),
    path("hunt.ts"),
    mutant.name,
  ];
  const child = spawn(process.execPath, [...args, String(base), String(seedsMax), String(eventsMax)]);
  return new Promise((resolve) => {
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    const timer = setTimeout(() => child.kill("SIGKILL"), silenceMaxMs);
    child.on("close", (_code, signal) => {
      clearTimeout(timer);
      resolve(judge(mutant, output, errors, signal !== null));
    });
  });
}

function judge(mutant: Mutant, output: string, errors: string, wasKilled: boolean): Hunt {
  const none = { seeds: 0, events: 0 };
  if (wasKilled)
    return {
      finding: { mutant, seeds: null, how: `stopped after ${silenceMaxMs / 60_000} minutes` },
      totals: none,
    };
  try {
    const line = JSON.parse(output) as {
      seeds: number;
      seed: number | null;
      events: number;
      checker: string;
      message: string;
    };
    // A seed that fails by itself would find every mutant.
    if (line.seed !== null && runSeed(line.seed, { eventsMax }).violation !== null)
      return {
        finding: { mutant, seeds: null, how: `seed ${line.seed} fails without it too` },
        totals: line,
      };
    const how = line.seed === null ? "" : `seed ${line.seed}, ${line.checker}`;
    return { finding: { mutant, seeds: line.seed === null ? null : line.seeds, how }, totals: line };
  } catch {
    // The run itself broke down: a defect of the mutant or of the simulator, and not a find.
    return {
      finding: {
        mutant,
        seeds: null,
        how:
          errors
            .trim()
            .split("\n")
            .findLast((line) => line.includes("Error")) ?? "it did not run",
      },
      totals: none,
    };
  }
}
