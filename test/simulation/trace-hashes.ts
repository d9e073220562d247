/** Prints the trace hashes of some seeds, for comparison with those of another process. Arguments: first seed, how many, events in each. */

import { runSeed } from "./run-seeds.ts";

const [first = 0, count = 0, eventsMax = 0] = process.argv.slice(2).map(Number);
for (let i = 0; i < count; i += 1) console.log(runSeed(first + i, { eventsMax }).traceHash);
