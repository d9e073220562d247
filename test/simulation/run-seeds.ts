/** Runs seeds one after the other and adds up what happened. */

import { optionsFor, type OptionLimits } from "./options.ts";
import { Simulation, type RunResult } from "./simulation.ts";

/** Of one run what is added up, and what is told when it failed. */
export type SeedResult = Pick<RunResult, "seed" | "events" | "faults" | "violation">;

export interface SeedRun {
  /** The seed to run next; null when there are enough. */
  readonly next: () => number | null;
  readonly limits: OptionLimits;
  readonly onViolation: (result: SeedResult) => void;
}

export class Totals {
  seeds = 0;
  events = 0;
  faults = 0;
  violations = 0;
  /** Of every seed, for medians. */
  readonly eventsOf: number[] = [];
  readonly faultsOf: number[] = [];

  add({ events, faults, violation }: SeedResult): void {
    this.seeds += 1;
    this.events += events;
    this.faults += faults;
    this.eventsOf.push(events);
    this.faultsOf.push(faults);
    if (violation !== null) this.violations += 1;
  }
}

export function runSeed(seed: number, limits: OptionLimits = {}): RunResult {
  return new Simulation(optionsFor(seed, limits)).run();
}

/** Refusals are errors, and many: their stacks would cost more than they tell. */
export function withoutStacks(): void {
  Error.stackTraceLimit = 0;
}

/** In this very thread, for what looks at it from inside; `runSeedsInParallel` is faster. */
export function runSeeds({ next, limits, onViolation }: SeedRun): Totals {
  const totals = new Totals();
  withoutStacks();
  for (let seed = next(); seed !== null; seed = next()) {
    const result = runSeed(seed, limits);
    totals.add(result);
    if (result.violation !== null) onViolation(result);
  }
  return totals;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
