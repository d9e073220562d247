/** The runs: each harms a cluster in its own way while clients write, and counts what became of it. */

import { dirname } from "node:path";
import { Lab } from "./lab.ts";
import type { LabMember } from "./lab-member.ts";
import { compileShim, SlowDisk } from "./power.ts";
import { Tally } from "./tally.ts";

export type Sought = "a loss" | "a fault";

export interface RunOptions {
  readonly count: number;
  readonly seed: number;
  readonly say: (line: string) => void;
  /** The main file that members run; null for the one in `src/`. */
  readonly program: string | null;
  /** A planted bug with which members run; null for none. */
  readonly mutant: string | null;
  /** Part of the names of the harms that are done, where there are several and they have names. */
  readonly only: string;
  /** What a run with something planted has to find, and ends with; null for a run that must find nothing. */
  readonly seeks: Sought | null;
  /** By the monotonic clock: no new round begins after it. */
  readonly endsAtMs: number;
}

export type Run = (options: RunOptions) => Promise<readonly [Tally, Lab["ledger"]]>;

/** Looking at everything takes a while, so it is done once in so many rounds. */
const roundsPerLook = 5;

/** How often a member that was killed is killed again while it starts. */
const killedAgainShare = 0.4;

/** SIGKILL at random moments: one member, often the leader, two, or all at once; and again while they start. */
export async function kills(options: RunOptions): ReturnType<Run> {
  const { say } = options;
  const lab = await Lab.start(options);
  const tally = new Tally();
  try {
    for (let round = 1; goesOn(tally, options); round += 1) {
      await lab.pause(600);
      const victims = await pickVictims(lab);
      const killAll = async (members: readonly LabMember[]): Promise<void> => {
        await Promise.all(members.map((member) => member.kill()));
        for (let i = 0; i < members.length; i += 1) tally.note(`${victims.length} of 3 at once`);
        tally.done += members.length;
      };
      await killAll(victims);
      await lab.pause(100);
      for (const member of victims) member.start();
      while (lab.random() < killedAgainShare) {
        await lab.pause(800);
        const again = lab.pick(victims);
        await again.kill();
        tally.done += 1;
        tally.note("while it started");
        again.start();
      }
      await lab.ready(lab.members);
      tally.healed = tally.done;
      if (isLookDue(round, options)) await tally.look(lab);
      if (round % 25 === 0) say(progress(tally, lab));
    }
    await tally.look(lab);
    tally.noticed = tally.done;
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
}

/** The leader's disk becomes slow, or hangs: somebody else has to lead, and nothing may be lost. */
export async function slowDisks(options: RunOptions): ReturnType<Run> {
  const { say } = options;
  const disks = new Map<string, SlowDisk>();
  let shim: string | null = null;
  const environment = (dataFolder: string): Record<string, string> => {
    shim ??= compileShim(dirname(dataFolder));
    const disk = new SlowDisk(dataFolder);
    disks.set(dataFolder, disk);
    return disk.environment(shim);
  };
  const lab = await Lab.start({ ...options, environment });
  const tally = new Tally();
  try {
    for (let round = 1; goesOn(tally, options); round += 1) {
      await lab.pause(2_000);
      const leader = (await lab.leader()) ?? lab.pick(lab.members);
      const disk = disks.get(leader.settings.dataFolder);
      const kind = round % 3 === 0 ? "hangs" : "is slow";
      const startedMs = performance.now();
      disk?.takes(kind === "hangs" ? 8_000 : 200);
      const hasChanged = await lab.leaderOtherThan(leader, 20_000);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      disk?.takes(0);
      tally.done += 1;
      if (hasChanged) tally.healed += 1;
      tally.note(`${kind}: ${hasChanged ? "handed over" : "NOT handed over"}`);
      say(
        `the disk of ${leader.id} ${kind}: ${hasChanged ? "another leads" : "still leads"} after ${seconds} s`,
      );
      await lab.ready(lab.members);
      await tally.look(lab);
    }
    tally.noticed = tally.healed;
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
}

/** Whether there is another round: what was sought ends a run, since what hangs on chance may take several rounds to show. */
export function goesOn(tally: Tally, { count, endsAtMs, seeks }: RunOptions): boolean {
  if (seeks !== null && hasFound(tally, seeks)) return false;
  return tally.done < count && performance.now() < endsAtMs;
}

export function hasFound({ lost, wrong }: Tally, sought: Sought): boolean {
  return lost.size > 0 || (sought === "a fault" && wrong.size > 0);
}

/** Whether everything is compared after this round: as often as it costs little, or, to find what is sought, always. */
export function isLookDue(round: number, { seeks }: RunOptions, every = roundsPerLook): boolean {
  return seeks !== null || round % every === 0;
}

async function pickVictims(lab: Lab): Promise<readonly LabMember[]> {
  const drawn = lab.random();
  if (drawn < 0.3) return lab.members;
  const first = await pickVictim(lab);
  if (drawn < 0.7) return [first];
  return [first, lab.pick(lab.members.filter((member) => member !== first))];
}

/** Every second time whoever leads. */
export async function pickVictim(lab: Lab): Promise<LabMember> {
  return (lab.random() < 0.5 ? await lab.leader() : null) ?? lab.pick(lab.members);
}

export function progress({ done, healed, lost, wrong }: Tally, { ledger }: Lab): string {
  return `${done} done, ${healed} healed, ${ledger.acknowledged} acknowledged, ${lost.size} lost, ${wrong.size} wrong`;
}
