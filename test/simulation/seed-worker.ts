/** A thread of its own that runs each seed that it is sent, and answers with what came of it. Null ends it. */

import { parentPort, workerData } from "node:worker_threads";
import type { OptionLimits } from "./options.ts";
import { runSeed, type SeedResult, withoutStacks } from "./run-seeds.ts";

withoutStacks();
parentPort?.on("message", (seed: number | null) => {
  if (seed === null) return parentPort?.close();
  const { events, faults, violation, marks } = runSeed(seed, workerData as OptionLimits);
  parentPort?.postMessage({ seed, events, faults, violation, marks } satisfies SeedResult);
});
