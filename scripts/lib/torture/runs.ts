/** The three tortures: each harms members again and again while clients write, and counts what became of it. */

import * as fs from "node:fs";
import { dirname, relative } from "node:path";
import type { MemberProcess } from "../../../test/support/member-process.ts";
import { injure } from "./injuries.ts";
import { Lab } from "./lab.ts";
import { compileShim, filesIn, PowerSupply, SlowDisk } from "./power.ts";

export interface RunOptions {
  readonly count: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface Tally {
  /** Harms done. */
  done: number;
  /** Members that were ready again without a person. */
  healed: number;
  readonly lost: Set<string>;
  readonly wrong: Set<string>;
  readonly details: Record<string, number>;
}

/** Looking at everything takes a while, so it is done once in so many rounds. */
const roundsPerLook = 5;

function newTally(): Tally {
  return { done: 0, healed: 0, lost: new Set(), wrong: new Set(), details: {} };
}

function note(tally: Tally, what: string): void {
  tally.details[what] = (tally.details[what] ?? 0) + 1;
}

async function look(lab: Lab, tally: Tally): Promise<void> {
  const { lost, wrong } = await lab.judge();
  for (const one of lost) tally.lost.add(one);
  for (const one of wrong) tally.wrong.add(one);
}

/** SIGKILL at random moments: one member, often the leader, or all at once. */
export async function kills({ count, seed, say }: RunOptions): Promise<readonly [Tally, Lab["ledger"]]> {
  const lab = await Lab.start({ seed });
  const tally = newTally();
  try {
    for (let round = 1; tally.done < count; round += 1) {
      await lab.pause(1_000);
      const victims = await pickVictims(lab, lab.random() < 0.5);
      await Promise.all(victims.map((member) => member.kill()));
      await lab.pause(100);
      for (const member of victims) member.start();
      // Sometimes killed again while it starts.
      if (lab.random() < 0.2 && victims[0] !== undefined) {
        await lab.pause(600);
        await victims[0].kill();
        victims[0].start();
        tally.done += 1;
        tally.healed += 1;
      }
      await lab.ready(lab.members);
      tally.done += victims.length;
      tally.healed += victims.length;
      note(tally, victims.length === 1 ? "one member" : "all members");
      if (round % roundsPerLook === 0) await look(lab, tally);
      if (round % 25 === 0) say(progress(tally, lab));
    }
    await look(lab, tally);
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
}

/** The power goes at one member, or at all: only what was synced survives. One loss in four is of the whole cluster. */
export async function powerLosses({
  count,
  seed,
  say,
  ignoreSyncs,
}: RunOptions & { readonly ignoreSyncs: boolean }): Promise<readonly [Tally, Lab["ledger"]]> {
  const supplies = new Map<string, PowerSupply>();
  let shim: string | null = null;
  const environment = (dataFolder: string): Record<string, string> => {
    shim ??= compileShim(dirname(dataFolder));
    const supply = new PowerSupply(dataFolder);
    supplies.set(dataFolder, supply);
    return supply.environment(shim, { ignoreSyncs });
  };
  const lab = await Lab.start({ seed, environment });
  const tally = newTally();
  try {
    for (let round = 1; tally.done < count; round += 1) {
      await lab.pause(700);
      const isWhole = ignoreSyncs || round % 4 === 0;
      const victims = await pickVictims(lab, isWhole);
      await Promise.all(victims.map((member) => member.kill()));
      const bytes = victims.reduce(
        (sum, { settings }) => sum + (supplies.get(settings.dataFolder)?.cut(lab.random) ?? 0),
        0,
      );
      for (const member of victims) member.start();
      await lab.ready(lab.members, ignoreSyncs ? 20_000 : 60_000);
      tally.done += 1;
      tally.healed += 1;
      note(tally, isWhole ? "of the whole cluster" : "of one member");
      if (bytes > 0) note(tally, "that took unsynced bytes away");
      if (isWhole || round % roundsPerLook === 0) await look(lab, tally);
      if (round % 20 === 0) say(progress(tally, lab));
    }
    await look(lab, tally);
  } catch (error) {
    if (!ignoreSyncs) throw error;
    // Without syncs a cluster may have nothing left to start from: then all of it is lost.
    tally.lost.add(`the cluster did not come back: ${(error as Error).message.split("\n")[0]}`);
  } finally {
    await lab.end();
  }
  return [tally, lab.ledger];
}

/** The leader's disk becomes slow, or hangs: somebody else has to lead, and nothing may be lost. */
export async function slowDisks({ count, seed, say }: RunOptions): Promise<readonly [Tally, Lab["ledger"]]> {
  const disks = new Map<string, SlowDisk>();
  let shim: string | null = null;
  const environment = (dataFolder: string): Record<string, string> => {
    shim ??= compileShim(dirname(dataFolder));
    const disk = new SlowDisk(dataFolder);
    disks.set(dataFolder, disk);
    return disk.environment(shim);
  };
  const lab = await Lab.start({ seed, environment });
  const tally = newTally();
  try {
    for (let round = 1; tally.done < count; round += 1) {
      await lab.pause(2_000);
      const leader = await lab.leader();
      const disk = disks.get(leader.settings.dataFolder);
      const kind = round % 3 === 0 ? "hangs" : "is slow";
      const startedMs = performance.now();
      disk?.takes(kind === "hangs" ? 8_000 : 200);
      const hasChanged = await lab.leaderOtherThan(leader, 20_000);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      disk?.takes(0);
      tally.done += 1;
      if (hasChanged) tally.healed += 1;
      note(tally, `${kind}: ${hasChanged ? "handed over" : "NOT handed over"}`);
      say(
        `the disk of ${leader.id} ${kind}: ${hasChanged ? "another leads" : "still leads"} after ${seconds} s`,
      );
      await lab.ready(lab.members);
      await look(lab, tally);
    }
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
}

/** One member's files are harmed while it is down; the majority is whole. */
export async function injuriesOf({ count, seed, say }: RunOptions): Promise<readonly [Tally, Lab["ledger"]]> {
  const lab = await Lab.start({ seed });
  const tally = newTally();
  try {
    for (let round = 1; tally.done < count; round += 1) {
      const victim = lab.pick(lab.members);
      const { dataFolder } = victim.settings;
      // Of some files an older copy is kept, to be put back.
      const older = new Map(filesIn(dataFolder).map((path) => [path, readIfThere(path)]));
      if (lab.random() < 0.3) await lab.compact(victim);
      await lab.pause(1_500);
      await victim.kill(lab.random() < 0.5 ? "SIGKILL" : "SIGTERM");
      const copy = `${dataFolder}.before`;
      fs.cpSync(dataFolder, copy, { recursive: true });
      const path = pickFile(lab, dataFolder);
      const what = injure(path, older.get(path) ?? null, lab.random);
      const kind = relative(dataFolder, path).replaceAll(/\d+/g, "N");
      const logBefore = victim.log.length;
      victim.start();
      if (what !== null) {
        tally.done += 1;
        await takeInjury(lab, tally, victim, { copy, logBefore, what: `${what} in ${kind}`, say });
      } else await lab.ready([victim]);
      fs.rmSync(copy, { recursive: true });
      if (round % roundsPerLook === 0) await look(lab, tally);
      if (round % 20 === 0) say(progress(tally, lab));
    }
    await look(lab, tally);
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
}

interface Injured {
  /** The folder as it was before. */
  readonly copy: string;
  readonly logBefore: number;
  readonly what: string;
  readonly say: (line: string) => void;
}

async function takeInjury(
  lab: Lab,
  tally: Tally,
  victim: MemberProcess,
  { copy, logBefore, what, say }: Injured,
): Promise<void> {
  const healed = await lab.ready([victim], 30_000).then(
    () => true,
    () => false,
  );
  const log = victim.log.slice(logBefore);
  const isNoticed = /is damaged|cut the last write|was lost, and has been restored|does not vote/.test(log);
  if (healed) tally.healed += 1;
  const fate = healed ? (isNoticed ? "noticed and healed" : "harmless") : "not healed";
  note(tally, fate);
  note(tally, `${what.replace(/^.* in /, "")}: ${fate}`);
  if (healed) return;
  say(`not healed: ${victim.id}, ${what}: ${log.trim().split("\n").at(-1) ?? ""}`);
  if (victim.isRunning) await victim.kill();
  fs.rmSync(victim.settings.dataFolder, { recursive: true });
  fs.cpSync(copy, victim.settings.dataFolder, { recursive: true });
  victim.start();
  await lab.ready([victim]);
}

/** First a kind of file, then one of it: LevelDB has many, and its text log and lock hold nothing. */
function pickFile(lab: Lab, dataFolder: string): string {
  const kinds = [/\/wal\/\d+\.wal$/, /\/floor$/, /\/identity\.json$/, /\/state\.\d+\/(?!LOG|LOCK)/];
  const files = filesIn(dataFolder).filter((file) => fs.statSync(file).size > 0);
  const kind = lab.pick([0, 0, 0, 1, 1, 2, 3, 3, 3]);
  const ofKind = files.filter((file) => kinds[kind]?.test(file) === true);
  return lab.pick(ofKind.length > 0 ? ofKind : files);
}

async function pickVictims(lab: Lab, all: boolean): Promise<readonly MemberProcess[]> {
  if (all) return lab.members;
  return [lab.random() < 0.5 ? await lab.leader() : lab.pick(lab.members)];
}

function readIfThere(path: string): Uint8Array | null {
  try {
    return fs.readFileSync(path);
  } catch {
    return null;
  }
}

function progress({ done, healed, lost, wrong }: Tally, { ledger }: Lab): string {
  return `${done} done, ${healed} healed, ${ledger.acknowledged} acknowledged, ${lost.size} lost, ${wrong.size} wrong`;
}
