// What ./scripts/bench runs: measurements of a real cluster of three members on this machine, each with its own options.

import { parseArgs } from "node:util";
import { baseline } from "./baseline.ts";
import { installDelay } from "./install-delay.ts";
import { malformed } from "./malformed.ts";
import { overload } from "./overload.ts";
import { snapshotDelay } from "./snapshot-delay.ts";
import { storage } from "./storage.ts";
import { watchers } from "./watchers.ts";

const help = `Usage: ./scripts/bench [NAME] [options]

Measures three real members on this machine and prints what came out; ends with status 1 when a bar was missed.

  baseline     register, renew, discover and watch: throughput and latencies. What runs when no name is given
                 --seconds N (10)  --clients N (32)
  overload     five times what the cluster can do, for a minute. The members share core 0, the generator has core 1
                 --seconds N (60)  --factor N (5)  --storm registrations|reads|mixed (mixed)  --connections N (2400)
  watchers     many watches on one member while instances come and go and members restart
                 --watchers N (2000)  --seconds N (30)
  malformed    malformed requests: no 500, no crash, no change of state
                 --count N (1000000)  --seed N
  storage      durable appends beside the disk's own rate, restart and memory
                 --seconds N (3)  --count INSTANCES (100000)
  snapshot-delay  what a snapshot costs the event loop
                 --seconds N (15)  --count INSTANCES (200000)
  install-delay   what installing a snapshot costs the event loop of a member that joins
                 --count INSTANCES (200000)
  --help       this text`;

const benches: Readonly<Record<string, (options: Options) => Promise<boolean>>> = {
  baseline,
  overload,
  watchers,
  malformed,
  storage,
  "snapshot-delay": snapshotDelay,
  "install-delay": installDelay,
};

/** What was given on the command line, as text. */
export type Options = Readonly<Record<string, string | undefined>>;

const text = { type: "string" } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: text,
    clients: text,
    factor: text,
    storm: text,
    connections: text,
    watchers: text,
    count: text,
    seed: text,
    help: { type: "boolean" },
  },
});
const [name = "baseline", ...more] = positionals;
const bench = benches[name];
if (values.help === true) console.log(help);
else if (bench === undefined || more.length > 0) {
  console.error(
    `bench: ${positionals.join(" ")} is not one of ${Object.keys(benches).join(", ")}; see --help`,
  );
  process.exitCode = 2;
} else {
  const { help: _, ...options } = values;
  process.exitCode = (await bench(options)) ? 0 : 1;
}
