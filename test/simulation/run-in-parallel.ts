/** Runs seeds in several threads at once, each of which takes the next seed when it is done with one. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { OptionLimits } from "./options.ts";
import { type SeedResult, Totals } from "./run-seeds.ts";

export interface SeedRun {
  /** The seed to run next; null when there are enough. */
  readonly next: () => number | null;
  readonly limits: OptionLimits;
  readonly onViolation: (result: SeedResult) => void;
}

/** With `jobs` threads. A seed whose thread breaks down counts as a violation, and the others go on. */
export async function runSeedsInParallel(
  jobs: number,
  { next, limits, onViolation }: SeedRun,
): Promise<Totals> {
  const totals = new Totals();
  const lane = async (): Promise<void> => {
    const thread = new SeedThread(limits);
    for (let seed = next(); seed !== null; seed = next()) {
      const result = await thread.run(seed);
      totals.add(result);
      if (result.violation !== null) onViolation(result);
    }
    await thread.end();
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return totals;
}

class SeedThread {
  readonly #limits: OptionLimits;
  #worker: Worker;

  constructor(limits: OptionLimits) {
    this.#limits = limits;
    this.#worker = this.#start();
  }

  async run(seed: number): Promise<SeedResult> {
    const answered = once(this.#worker, "message");
    this.#worker.postMessage(seed);
    try {
      const [result] = (await answered) as [SeedResult];
      return result;
    } catch (error) {
      this.#worker = this.#start();
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { seed, events: 0, faults: 0, violation: { checker: "broke down", message }, marks: new Map() };
    }
  }

  /** By itself and not by force, or what it counted of the lines that it ran would be lost. */
  async end(): Promise<void> {
    const ended = once(this.#worker, "exit");
    this.#worker.postMessage(null);
    await ended;
  }

  #start(): Worker {
    return new Worker(new URL("seed-worker.ts", import.meta.url), { workerData: this.#limits });
  }
}
