/** Power losses of one member or of all, some of them while a member starts or is sent a snapshot. */

import { dirname } from "node:path";
import { waitFor } from "../../../test/support/wait-for.ts";
import { Lab } from "./lab.ts";
import type { LabMember } from "./lab-member.ts";
import { compileShim, type IgnoredSyncs, PowerSupply } from "./power.ts";
import { goesOn, isLookDue, pickVictim, progress, type Run, type RunOptions } from "./runs.ts";
import { Tally } from "./tally.ts";

/** One power loss in so many is of the whole cluster. */
const roundsPerWholeLoss = 3;

/** How often the power goes while a member starts after a kill. */
const whileStartingShare = 0.3;

/** How often a member is so far behind once power is back that it needs a snapshot, while which the power may go again. */
const snapshotShare = 0.4;

/** So that a member that missed a few writes is behind the log of the others. */
const shortLog = { "retain-entries": "1" };
const writesMissed = 20;

/** The power goes at one member, or, one time in three, at all: only what was synced survives. */
export async function powerLosses(options: RunOptions & { readonly ignored: IgnoredSyncs }): ReturnType<Run> {
  const { say, ignored } = options;
  const supplies = new Map<string, PowerSupply>();
  let shim: string | null = null;
  const environment = (dataFolder: string): Record<string, string> => {
    shim ??= compileShim(dirname(dataFolder));
    const supply = new PowerSupply(dataFolder);
    supplies.set(dataFolder, supply);
    return supply.environment(shim, ignored);
  };
  const isControl = ignored !== "none";
  const lab = await Lab.start({ ...options, environment, flags: shortLog });
  const tally = new Tally();
  const losses = new PowerLosses(lab, tally, supplies);
  try {
    for (let round = 1; goesOn(tally, options); round += 1) {
      await lab.pause(700);
      const isWhole = isControl || round % roundsPerWholeLoss === 0;
      if (isWhole) await losses.ofAll();
      else await losses.ofOne(await pickVictim(lab));
      await lab.ready(lab.members, isControl ? 20_000 : 60_000);
      tally.healed = tally.done;
      if (isWhole || isLookDue(round, options)) await tally.look(lab);
      if (round % 20 === 0) say(progress(tally, lab));
    }
    await tally.look(lab);
    tally.noticed = tally.done;
  } catch (error) {
    if (!isControl) throw error;
    // Without syncs a cluster may have nothing left to start from: then all of it is lost.
    tally.lost.add(`the cluster did not come back: ${(error as Error).message.split("\n")[0]}`);
  } finally {
    await lab.end();
  }
  return [tally, lab.ledger];
}

class PowerLosses {
  readonly #lab: Lab;
  readonly #tally: Tally;
  readonly #supplies: ReadonlyMap<string, PowerSupply>;

  constructor(lab: Lab, tally: Tally, supplies: ReadonlyMap<string, PowerSupply>) {
    this.#lab = lab;
    this.#tally = tally;
    this.#supplies = supplies;
  }

  async ofAll(): Promise<void> {
    const { members } = this.#lab;
    await this.#startAnewAtTimes(members);
    await this.#cut(members, "of the whole cluster");
    for (const member of members) member.start();
  }

  async ofOne(victim: LabMember): Promise<void> {
    const lab = this.#lab;
    await this.#startAnewAtTimes([victim]);
    await this.#cut([victim], "of one member");
    if (lab.random() < snapshotShare) {
      const others = lab.members.filter((member) => member !== victim);
      await this.#leaveBehind(others);
      const before = others.map(({ log }) => log.length);
      victim.start();
      const sends = (): boolean =>
        others.some(({ log }, i) => log.slice(before[i]).includes("sending a snapshot"));
      const isSent = await waitFor(sends, { what: "a snapshot", everyMs: 5, withinMs: 10_000 }).catch(
        () => false,
      );
      await lab.pause(200);
      await this.#cut([victim], isSent ? "of one member that was sent a snapshot" : "of one member");
    }
    victim.start();
  }

  /** What a process has left unsynced when it was killed, the next one finds, and may take it for durable. */
  async #startAnewAtTimes(members: readonly LabMember[]): Promise<void> {
    if (this.#lab.random() >= whileStartingShare) return;
    await Promise.all(members.map((member) => member.kill()));
    for (const member of members) member.start();
    await this.#lab.pause(1_500);
    this.#tally.note("shortly after a kill -9");
  }

  async #cut(members: readonly LabMember[], what: string): Promise<void> {
    const tally = this.#tally;
    await Promise.all(members.map((member) => member.kill()));
    const taken = members.map(({ settings }) =>
      this.#supplies.get(settings.dataFolder)?.cut(this.#lab.random),
    );
    tally.done += 1;
    tally.note(what);
    if (taken.some((one) => one !== undefined && one.bytes > 0)) tally.note("that took unsynced bytes away");
    if (taken.some((one) => one !== undefined && one.names > 0)) tally.note("that took unsynced names away");
  }

  /** They go on, and then drop the log that the one who is down would go on from. */
  async #leaveBehind(others: readonly LabMember[]): Promise<void> {
    await this.#lab.ready(others);
    await this.#lab.acknowledges(writesMissed);
    for (const other of others) await this.#lab.compact(other);
  }
}
