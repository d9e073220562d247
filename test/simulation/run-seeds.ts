/** Runs a seed, and adds up what happened in many. */

import { optionsFor, type OptionLimits } from "./options.ts";
import type { Marks } from "./rare-marks.ts";
import { Simulation, type RunResult } from "./simulation.ts";

/** Of one run what is added up, and what is told when it failed. */
export type SeedResult = Pick<RunResult, "seed" | "events" | "faults" | "violation" | "marks">;

export class Totals {
  seeds = 0;
  events = 0;
  faults = 0;
  violations = 0;
  /** Of every seed, for medians. */
  readonly eventsOf: number[] = [];
  readonly faultsOf: number[] = [];
  readonly #marks = new Map<string, number>();

  get marks(): Marks {
    return this.#marks;
  }

  add({ events, faults, violation, marks }: SeedResult): void {
    this.seeds += 1;
    this.events += events;
    this.faults += faults;
    this.eventsOf.push(events);
    this.faultsOf.push(faults);
    if (violation !== null) this.violations += 1;
    for (const [mark, count] of marks) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + count);
  }
}

export function runSeed(seed: number, limits: OptionLimits = {}): RunResult {
  return new Simulation(optionsFor(seed, limits)).run();
}

/** Refusals are errors, and many: their stacks would cost more than they tell. */
export function withoutStacks(): void {
  Error.stackTraceLimit = 0;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
