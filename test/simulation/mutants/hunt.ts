/**
 * Runs in a process of its own, with one mutant planted: goes through seeds until one of them shows the bug, and prints what it found
 * as one line of JSON. Arguments: the first seed, how many at most, events in each.
 */

import { optionsFor } from "../options.ts";
import { Simulation } from "../simulation.ts";

const [base = 0, count = 0, eventsMax = 0] = process.argv.slice(2).map(Number);

Error.stackTraceLimit = 0;
let events = 0;
for (let i = 0; i < count; i += 1) {
  const result = new Simulation(optionsFor(base + i, { eventsMax })).run();
  events += result.events;
  if (result.violation === null) continue;
  const { checker, message } = result.violation;
  console.log(
    JSON.stringify({ seeds: i + 1, seed: base + i, events, checker, message: message.split("\n")[0] }),
  );
  process.exit(0);
}
console.log(JSON.stringify({ seeds: count, seed: null, events }));
