// What ./scripts/torture runs.

import { parseArgs } from "node:util";
import { mutants } from "../../../test/simulation/mutants/table.ts";
import { brokenDisks } from "./broken-disk-run.ts";
import { injuriesOf } from "./injury-run.ts";
import { networkFaults } from "./network-run.ts";
import { powerLosses } from "./power-run.ts";
import { hasFound, kills, slowDisks, type Run, type Sought } from "./runs.ts";
import { detailsInWords, keepPiece, keptPieces, pieceOf, sumInWords, type Piece } from "./tally.ts";

const help = `Usage: ./scripts/torture KIND [--count N] [--seed S] [--seconds T] [--totals FILE [--until N]]

Harms the members of a cluster again and again while clients write, read and watch, and compares what they are told, and what every
member holds, with what was acknowledged. Ends with status 1 if an acknowledged change was lost, a wrong value served, or an injury
not noticed.

  kill            SIGKILL at random moments: one member, often the leader, or several at once, also while they start
  network         members that cannot reach each other, in one direction or both, that are slow, or stand still; also killed meanwhile
  power           the power goes, each third time at all members: of files and names only what was synced survives (needs gcc)
  power-control   the same with a disk that ignores syncs: ends with the first loss, and fails unless it finds one
  name-control    the same with a disk that ignores syncs of folders, as if nobody had asked for them; ends and fails likewise
  slow            the leader's disk becomes slow or hangs, so another member has to lead (needs gcc)
  broken          one member's disk answers EIO: it must say so, promise nothing more, and be whole on a repaired one (needs gcc)
  injuries        flipped bits, cut, zeroed, deleted, exchanged and older files in one member's data folder
  injuries-here   the same with all members in this process, which is several times faster

  --count N       how many; 100 if it is not said
  --seed S        repeats the choices of an earlier run, as far as processes and clocks let it
  --mutant NAME   members run with this one of the simulator's planted bugs: ends when it is noticed, and fails unless it is
  --only TEXT     of network: only what has this in its name, as the names are printed at the end
  --program FILE  members run this, such as dist/cli/main.js after npm run build, which starts twice as fast as src/cli/main.ts
  --seconds T     ends after this time, whatever has been done
  --totals FILE   adds the run to the file, and prints the sum of all runs of this kind in it
  --until N       with --totals: does only what is missing there
  --help          this text`;

const { values, positionals } = parseArgs({
  options: {
    count: { type: "string" },
    seed: { type: "string" },
    program: { type: "string" },
    mutant: { type: "string" },
    only: { type: "string" },
    seconds: { type: "string" },
    totals: { type: "string" },
    until: { type: "string" },
    help: { type: "boolean" },
  },
  allowPositionals: true,
});
const runs: Readonly<Record<string, Run>> = {
  kill: kills,
  network: networkFaults,
  power: (options) => powerLosses({ ...options, ignored: "none" }),
  "power-control": (options) => powerLosses({ ...options, ignored: "everything" }),
  "name-control": (options) => powerLosses({ ...options, ignored: "folders" }),
  slow: slowDisks,
  broken: brokenDisks,
  injuries: (options) => injuriesOf({ ...options, inThisProcess: false }),
  "injuries-here": (options) => injuriesOf({ ...options, inThisProcess: true }),
};
const kind = positionals[0] ?? "";
const run = runs[kind];
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const seconds = Number(values.seconds ?? Infinity);
const kept = values.totals === undefined ? [] : keptPieces(values.totals, kind);
const missing = Number(values.until ?? Infinity) - kept.reduce((sum, { done }) => sum + done, 0);
const count = Math.min(Number(values.count ?? 100), missing);
const isKnown = values.mutant === undefined || mutants.some(({ name }) => name === values.mutant);
if (
  values.help === true ||
  run === undefined ||
  !isKnown ||
  Number.isNaN(count + seconds) ||
  !Number.isInteger(seed)
) {
  console.log(help);
  process.exit(values.help === true ? 0 : 2);
}

function soughtBy(kind: string, mutant: string | undefined): Sought | null {
  if (kind.endsWith("-control")) return "a loss";
  return mutant === undefined ? null : "a fault";
}

/** Each run can be repeated by its seed and its count. */
function totalInWords(runs: readonly Piece[]): string {
  const seeds = runs.map((one) => `${one.seed}:${one.done}`).join(" ");
  return `${kind} in ${runs.length} runs: ${sumInWords(runs)}; seed:count ${seeds}`;
}

function say(line: string): void {
  console.log(`  ${line}`);
}

if (count <= 0) {
  for (const line of detailsInWords(kept)) say(line);
  console.log(totalInWords(kept));
  process.exit(0);
}
// Ends what was started as well; see Lab.
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)
  process.once(signal, () => process.exit(status));
const seeks = soughtBy(kind, values.mutant);
console.log(`torture ${kind}: ${count}, seed ${seed}`);
const startedMs = performance.now();
const [tally, ledger] = await run({
  count,
  seed,
  say,
  program: values.program ?? null,
  mutant: values.mutant ?? null,
  only: values.only ?? "",
  seeks,
  endsAtMs: startedMs + seconds * 1_000,
});
const piece = pieceOf(kind, seed, tally, ledger, (performance.now() - startedMs) / 1_000);
const pieces = [...kept, piece];
if (values.totals !== undefined) keepPiece(values.totals, piece);
for (const one of [...piece.lost, ...piece.wrong].slice(0, 20)) say(one);
for (const line of detailsInWords([piece])) say(line);
console.log(sumInWords([piece]));
const given = (["program", "mutant", "only"] as const).map((name) =>
  values[name] === undefined ? "" : ` --${name} "${values[name]}"`,
);
console.log(`repeat: ./scripts/torture ${kind} --count ${piece.done} --seed ${seed}${given.join("")}`);
if (pieces.length > 1) console.log(totalInWords(pieces));
const isAsItShould = seeks === null ? !hasFound(tally, "a fault") : hasFound(tally, seeks);
process.exit(isAsItShould ? 0 : 1);
