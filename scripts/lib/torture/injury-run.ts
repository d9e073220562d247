/** One member's files are harmed while it is down; the majority is whole, so it has to notice, and to come back by itself. */

import * as fs from "node:fs";
import { type Folder, filesIn, type Injury, injure, memoryIn } from "./injuries.ts";
import { Lab } from "./lab.ts";
import type { LabMember } from "./lab-member.ts";
import { goesOn, isLookDue, type RunOptions } from "./runs.ts";
import { Tally } from "./tally.ts";

const healMs = 30_000;
const compactionShare = 0.3;

/** In one process a round takes a fraction of the time, if clients leave it some. */
const pace = {
  real: { pauseMs: 1_000, roundsPerLook: 5, writers: 6, readers: 2 },
  here: { pauseMs: 150, roundsPerLook: 10, writers: 3, readers: 1 },
} as const;

/** What a member says that has noticed something. */
const noticing =
  /is damaged|cut the last write|was lost, and has been restored|does not vote|does not count until|wrong data folder|cannot be/;

export async function injuriesOf(
  options: RunOptions & { readonly inThisProcess: boolean },
): Promise<readonly [Tally, Lab["ledger"]]> {
  const { say } = options;
  const { pauseMs, roundsPerLook, writers, readers } = options.inThisProcess ? pace.here : pace.real;
  const lab = await Lab.start({ ...options, writers, readers });
  const tally = new Tally();
  const earlierFolders = new Map<LabMember, string>();
  try {
    for (let round = 1; goesOn(tally, options); round += 1) {
      const victim = lab.pick(lab.members);
      const { dataFolder } = victim.settings;
      const earlier = new Map(filesIn(dataFolder).map((path) => [path, readIfThere(path)]));
      if (lab.random() < compactionShare) await lab.compact(victim);
      await lab.pause(pauseMs);
      await victim.kill(lab.random() < 0.5 ? "SIGKILL" : "SIGTERM");
      const before = `${dataFolder}.before`;
      fs.cpSync(dataFolder, before, { recursive: true });
      const folder = {
        path: dataFolder,
        earlier: present(earlier),
        earlierFolder: earlierFolders.get(victim) ?? null,
      };
      await new InjuredRound(lab, tally, victim, before, say).run(folder);
      const kept = `${dataFolder}.earlier`;
      fs.rmSync(kept, { recursive: true, force: true });
      fs.renameSync(before, kept);
      earlierFolders.set(victim, kept);
      if (isLookDue(round, options, roundsPerLook)) await tally.look(lab);
      if (round % 50 === 0)
        say(`${tally.done} done, ${tally.healed} healed, ${lab.ledger.acknowledged} acknowledged`);
    }
    await tally.look(lab);
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
}

class InjuredRound {
  readonly #lab: Lab;
  readonly #tally: Tally;
  readonly #victim: LabMember;
  readonly #before: string;
  readonly #say: (line: string) => void;

  /** `before`: the folder as it was. */
  constructor(lab: Lab, tally: Tally, victim: LabMember, before: string, say: (line: string) => void) {
    this.#lab = lab;
    this.#tally = tally;
    this.#victim = victim;
    this.#before = before;
    this.#say = say;
  }

  async run(folder: Folder): Promise<void> {
    const victim = this.#victim;
    const injuries = injure(folder, this.#lab.random);
    const injured = `${folder.path}.injured`;
    fs.cpSync(folder.path, injured, { recursive: true });
    const logBefore = victim.log.length;
    victim.start();
    const isHealed = await this.#lab.ready([victim], healMs).then(
      () => true,
      () => false,
    );
    const log = victim.log.slice(logBefore);
    await this.#count(injuries, injured, { isHealed, log });
    fs.rmSync(injured, { recursive: true });
    if (!isHealed) await this.#startAsBefore();
  }

  async #count(
    injuries: readonly Injury[],
    injured: string,
    { isHealed, log }: { readonly isHealed: boolean; readonly log: string },
  ): Promise<void> {
    const tally = this.#tally;
    const isNoticed = noticing.test(log);
    const where = injuries.map(({ harm, place }) => `${harm} in ${place}`).join(" and ");
    const isHarmless = !isNoticed && (await this.#isSameMemory(injured));
    tally.done += 1;
    if (isNoticed || isHarmless) tally.noticed += 1;
    else tally.wrong.add(`${this.#victim.id} did not notice ${where}`);
    if (isHealed) tally.healed += 1;
    else
      this.#say(
        `not healed: ${this.#victim.id}, ${where}: ${log.trim().split("\n").slice(-3).join("\n    ")}`,
      );
    const fate = isNoticed ? (isHealed ? "noticed and healed" : "noticed, needs a person") : "harmless";
    for (const { place } of injuries) tally.note(`${place}: ${fate}`);
  }

  /** Whether a start from the harmed folder finds exactly what it would have found: the harm was where nothing stands. */
  async #isSameMemory(injured: string): Promise<boolean> {
    const { id } = this.#victim;
    return (await memoryIn(injured, id)) === (await memoryIn(this.#before, id));
  }

  async #startAsBefore(): Promise<void> {
    const victim = this.#victim;
    const { dataFolder } = victim.settings;
    if (victim.isRunning) await victim.kill();
    fs.rmSync(dataFolder, { recursive: true });
    fs.cpSync(this.#before, dataFolder, { recursive: true });
    victim.start();
    await this.#lab.ready([victim]);
  }
}

function present(files: ReadonlyMap<string, Uint8Array | null>): ReadonlyMap<string, Uint8Array> {
  return new Map([...files].filter((file): file is [string, Uint8Array] => file[1] !== null));
}

function readIfThere(path: string): Uint8Array | null {
  try {
    return fs.readFileSync(path);
  } catch {
    return null;
  }
}
