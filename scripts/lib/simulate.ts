// What ./scripts/simulate does: one seed in words, many seeds quietly, the mutants, or the coverage of a run.

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { optionsFor } from "../../test/simulation/options.ts";
import { violationReport } from "../../test/simulation/report.ts";
import { notReached, rareMarks } from "../../test/simulation/rare-marks.ts";
import { runSeedsInParallel } from "../../test/simulation/run-in-parallel.ts";
import { median, Totals } from "../../test/simulation/run-seeds.ts";
import { Simulation } from "../../test/simulation/simulation.ts";
import { measureCoverage } from "./simulate-coverage.ts";
import { huntMutants, mutantSeedsMax } from "./simulate-mutants.ts";

const help = `Usage: ./scripts/simulate [options]

Runs a whole cluster (the production files of core, driver, write-ahead log and registry) over a simulated network, disks and clocks, breaks it
in every way that the seed has drawn, and checks every step. The same seed always does the same. See test/simulation/README.md.

  --seed N       one seed, in words
  --trace        with --seed: one line an event
  --seeds N      so many seeds (default 100), quietly
  --base S       the first of them (default: drawn)
  --minutes M    seeds until so much time has passed
  --jobs J       in so many threads (default: one a core)
  --events N     at most so many events in a seed's safety phase
  --members N    so many members in every seed
  --no-faults    nothing goes wrong
  --no-ambushes  without the faults that strike at chosen moments: for seeds that were found before there were any
  --early-ambushes
                 without those that came later: for seeds that were found when there were few
  --mutants      plants known bugs, one at a time, and prints whether and how soon each is found; with --seeds
                 within so many seeds (default 2,000)
  --only TEXT    with --mutants: those whose names contain TEXT
  --coverage     with --seeds: prints which share of the production files' lines ran; at least 90 % should
  --help         this text

Ends with \`N seeds, N events, N faults, N violations\`; the exit status is 1 if there was a violation.`;

const options = {
  seed: { type: "string" },
  trace: { type: "boolean" },
  seeds: { type: "string" },
  base: { type: "string" },
  minutes: { type: "string" },
  jobs: { type: "string" },
  events: { type: "string" },
  members: { type: "string" },
  "no-faults": { type: "boolean" },
  "no-ambushes": { type: "boolean" },
  "early-ambushes": { type: "boolean" },
  mutants: { type: "boolean" },
  only: { type: "string" },
  coverage: { type: "boolean" },
  help: { type: "boolean" },
} as const;

class UsageError extends Error {}

function numberOf(name: string, text: string, min: number): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= min) return value;
  throw new UsageError(`--${name} must be a number of at least ${min}, not "${text}"`);
}

function readArguments() {
  const { values } = parseArgs({ options });
  const optional = (
    name: "seed" | "seeds" | "base" | "minutes" | "jobs" | "events" | "members",
    min: number,
  ): number | null => {
    const text = values[name];
    return text === undefined ? null : numberOf(name, text, min);
  };
  const eventsMax = optional("events", 1);
  const members = optional("members", 1);
  return {
    ...values,
    seed: optional("seed", 0),
    seeds: optional("seeds", 1),
    base: optional("base", 0),
    minutes: optional("minutes", 0.01),
    jobs: Math.floor(optional("jobs", 1) ?? availableParallelism()),
    limits: {
      ...(eventsMax === null ? {} : { eventsMax }),
      ...(members === null ? {} : { members }),
      ...(values["no-faults"] === true ? { noFaults: true } : {}),
      ...(values["no-ambushes"] === true ? { noAmbushes: true } : {}),
      ...(values["early-ambushes"] === true ? { earlyAmbushes: true } : {}),
    },
  };
}

type Arguments = ReturnType<typeof readArguments>;

function runOne(seed: number, { limits, trace }: Arguments): Totals {
  const drawn = optionsFor(seed, limits);
  console.log(JSON.stringify(drawn, null, 2));
  const sink = trace === true ? (line: string): void => console.log(line) : null;
  const result = new Simulation(drawn, sink).run();
  const { events, faults, elections, entries, virtualMs, traceHash, hadMajority } = result;
  console.log(
    `\nseed ${seed}: ${events} events and ${faults} faults in ${(virtualMs / 1000).toFixed(1)} virtual seconds, ${elections} leaders, ${entries} committed entries, ` +
      `${hadMajority ? "" : "no majority of whole members in the end, "}trace ${traceHash}`,
  );
  if (result.violation !== null) console.log(`\n${violationReport(result, limits)}\n`);
  const totals = new Totals();
  totals.add(result);
  return totals;
}

async function runMany({ seeds, base, minutes, jobs, limits }: Arguments): Promise<Totals> {
  const first = base ?? Math.floor(Math.random() * 1_000_000_000);
  const endMs = minutes === null ? Infinity : performance.now() + minutes * 60_000;
  const count = seeds ?? (minutes === null ? 100 : Infinity);
  let given = 0;
  const totals = await runSeedsInParallel(jobs, {
    next: () => (given < count && performance.now() < endMs ? first + given++ : null),
    limits,
    onViolation: (result) => console.log(`\n${violationReport(result, limits)}\n`),
  });
  const { user, system } = process.cpuUsage();
  const cpuMinutes = (user + system) / 60e6;
  console.log(
    `seeds from ${first}; median seed ${median(totals.eventsOf)} events, ${median(totals.faultsOf)} faults; ` +
      `${(totals.events / cpuMinutes / 1e6).toFixed(2)} million events a CPU-minute`,
  );
  const missing = notReached(totals.marks);
  if (missing.length > 0)
    console.log(`of ${rareMarks.length} rare things never reached: ${missing.join(", ")}`);
  return totals;
}

function printTotals({ seeds, events, faults, violations }: Totals): void {
  console.log(`${seeds} seeds, ${events} events, ${faults} faults, ${violations} violations`);
  if (violations > 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  const given = readArguments();
  if (given.help === true) return console.log(help);
  if (given.mutants === true)
    return huntMutants({
      base: given.base ?? 1,
      seedsMax: given.seeds ?? mutantSeedsMax,
      only: given.only ?? "",
    });
  if (given.coverage === true) {
    const base = given.base === null ? ["--base", "1"] : [];
    return measureCoverage([...process.argv.slice(2).filter((each) => each !== "--coverage"), ...base]);
  }
  if (given.seed !== null) return printTotals(runOne(given.seed, given));
  printTotals(await runMany(given));
}

try {
  await main();
} catch (error) {
  if (
    !(error instanceof UsageError) &&
    (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") !== true
  )
    throw error;
  console.error(
    `simulate: ${(error as Error).message.split(". ")[0]}; ./scripts/simulate --help says what there is`,
  );
  process.exitCode = 2;
}
