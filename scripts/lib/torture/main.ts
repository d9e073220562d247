// What ./scripts/torture runs.

import { parseArgs } from "node:util";
import { injuriesOf, kills, powerLosses, slowDisks } from "./runs.ts";

const help = `Usage: ./scripts/torture kill|power|power-control|slow|injuries [--count N] [--seed S]

Harms the members of a real cluster again and again while clients write, and compares what every member holds with what
was acknowledged. Ends with status 1 if an acknowledged change was lost or a wrong value served.

  kill            SIGKILL at random moments: one member, often the leader, or all at once
  power           the power goes: of the files only what was synced survives (needs gcc)
  power-control   the same with a disk that ignores syncs: fails unless it finds a loss
  slow            the leader's disk becomes slow or hangs, so another member has to lead (needs gcc)
  injuries        flipped bits, cut, zeroed, deleted and older files in one member's data folder

  --count N       how many; 100 if it is not said
  --seed S        repeats the choices of an earlier run, as far as processes and clocks let it
  --help          this text`;

const { values, positionals } = parseArgs({
  options: { count: { type: "string" }, seed: { type: "string" }, help: { type: "boolean" } },
  allowPositionals: true,
});
const kind = positionals[0] ?? "";
const count = Number(values.count ?? 100);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const runs: Readonly<Record<string, () => ReturnType<typeof kills>>> = {
  kill: () => kills({ count, seed, say }),
  power: () => powerLosses({ count, seed, say, ignoreSyncs: false }),
  "power-control": () => powerLosses({ count, seed, say, ignoreSyncs: true }),
  slow: () => slowDisks({ count, seed, say }),
  injuries: () => injuriesOf({ count, seed, say }),
};

function say(line: string): void {
  console.log(`  ${line}`);
}

const run = runs[kind];
if (values.help === true || run === undefined || !(count >= 1) || !Number.isInteger(seed)) {
  console.log(help);
  process.exit(values.help === true ? 0 : 2);
}
console.log(`torture ${kind}: ${count}, seed ${seed}`);
const startedAt = performance.now();
const [tally, ledger] = await run();
const seconds = Math.round((performance.now() - startedAt) / 1000);
for (const one of [...tally.lost, ...tally.wrong].slice(0, 20)) say(one);
for (const [what, number] of Object.entries(tally.details)) say(`${number} ${what}`);
const { acknowledged, unknown, refused } = ledger;
console.log(`writes: ${acknowledged} acknowledged, ${unknown} of unknown outcome, ${refused} refused`);
const { done, healed, lost, wrong } = tally;
console.log(`${done} done, ${healed} healed, ${lost.size} lost, ${wrong.size} wrong, in ${seconds} s`);
console.log(`repeat: ./scripts/torture ${kind} --count ${count} --seed ${seed}`);
const isAsItShould = kind === "power-control" ? lost.size > 0 : lost.size + wrong.size === 0;
process.exit(isAsItShould ? 0 : 1);
