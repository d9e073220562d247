/** Runs seeds one after the other and adds up what happened. */

import { optionsFor, type OptionLimits } from "./options.ts";
import { Simulation, type RunResult } from "./simulation.ts";

export interface Totals {
  seeds: number;
  events: number;
  faults: number;
  violations: number;
  /** Of every seed, for medians. */
  readonly eventsOf: number[];
  readonly faultsOf: number[];
}

export function noTotals(): Totals {
  return { seeds: 0, events: 0, faults: 0, violations: 0, eventsOf: [], faultsOf: [] };
}

export function runSeed(seed: number, limits: OptionLimits = {}): RunResult {
  return new Simulation(optionsFor(seed, limits)).run();
}

/** Runs `next` seeds until it gives null. Refusals are errors, and many: their stacks would cost more than they tell. */
export function runSeeds(
  next: () => number | null,
  limits: OptionLimits,
  onViolation: (result: RunResult) => void,
): Totals {
  const totals = noTotals();
  Error.stackTraceLimit = 0;
  for (let seed = next(); seed !== null; seed = next()) {
    const result = runSeed(seed, limits);
    totals.seeds += 1;
    totals.events += result.events;
    totals.faults += result.faults;
    totals.eventsOf.push(result.events);
    totals.faultsOf.push(result.faults);
    if (result.violation === null) continue;
    totals.violations += 1;
    onViolation(result);
  }
  return totals;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
