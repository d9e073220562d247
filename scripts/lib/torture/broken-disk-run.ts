/**
 * One member's disk answers EIO. The member has to say so and to take no part any more, at once; the others go on. Afterwards everything
 * that it had not synced is gone, as it is where the kernel drops pages that it could not write, and on a repaired disk it must be whole.
 */

import { dirname } from "node:path";
import { waitFor } from "../../../test/support/wait-for.ts";
import { contentOf, fetchFrom } from "./clients.ts";
import { Lab } from "./lab.ts";
import type { LabMember } from "./lab-member.ts";
import { BrokenDisk, compileShim, PowerSupply } from "./power.ts";
import { goesOn, type Run } from "./runs.ts";
import { Tally } from "./tally.ts";

const noticeMs = 20_000;

interface Disk {
  readonly power: PowerSupply;
  readonly broken: BrokenDisk;
}

export const brokenDisks: Run = async (options) => {
  const { say } = options;
  const disks = new Map<string, Disk>();
  let shim: string | null = null;
  const environment = (dataFolder: string): Record<string, string> => {
    shim ??= compileShim(dirname(dataFolder));
    const disk = { power: new PowerSupply(dataFolder), broken: new BrokenDisk(dataFolder) };
    disks.set(dataFolder, disk);
    return { ...disk.power.environment(shim, "none"), ...disk.broken.environment() };
  };
  const lab = await Lab.start({ ...options, environment });
  const tally = new Tally();
  try {
    for (let round = 1; goesOn(tally, options); round += 1) {
      await lab.pause(1_000);
      const victim = (round % 2 === 0 ? await lab.leader() : null) ?? lab.pick(lab.members);
      const disk = disks.get(victim.settings.dataFolder);
      if (disk === undefined) throw new Error(`${victim.id} has no disk`);
      tally.done += 1;
      await breakAndRepair(lab, tally, victim, disk);
      await tally.look(lab);
      if (round % 10 === 0) say(`${tally.done} done, ${tally.noticed} noticed, ${tally.healed} healed`);
    }
    return [tally, lab.ledger];
  } finally {
    await lab.end();
  }
};

async function breakAndRepair(
  lab: Lab,
  tally: Tally,
  victim: LabMember,
  { power, broken }: Disk,
): Promise<void> {
  const what = lab.pick(["sync", "write"] as const);
  broken.fails(what);
  await waitFor(async () => /^\[-\]disk .*EIO/m.test(await (await fetchFrom(victim, "/readyz")).text()), {
    what: `${victim.id} says on /readyz that its disk answers EIO`,
    withinMs: noticeMs,
  });
  tally.noticed += 1;
  if (!(await lab.leaderOtherThan(victim, noticeMs)))
    tally.wrong.add(`${victim.id} still leads without a disk`);
  await mustPromiseNothing(tally, victim);
  const isTold = lab.random() < 0.5;
  const ending = (await victim.kill(isTold ? "SIGTERM" : "SIGKILL")) as { readonly code: number | null };
  tally.note(`${what} fails, ${isTold ? `SIGTERM ends it with status ${ending.code}` : "SIGKILL"}`);
  power.cut(lab.random);
  broken.fails(null);
  victim.start();
  await lab.ready([victim]);
  tally.healed += 1;
}

/** Alive, so that people can ask it what is wrong, and nothing more. */
async function mustPromiseNothing(tally: Tally, victim: LabMember): Promise<void> {
  const alive = await fetchFrom(victim, "/livez");
  if (!alive.ok) tally.wrong.add(`${victim.id} is not alive with a broken disk`);
  const body = JSON.stringify({ host: "10.0.0.1", ...contentOf(1) });
  const write = { method: "PUT", headers: { "content-type": "application/json" }, body };
  const answer = await fetchFrom(victim, "/v1/services/broken/instances/a?timeoutMs=500", write);
  await answer.arrayBuffer();
  if (answer.ok) tally.wrong.add(`${victim.id} acknowledged a write with a broken disk`);
}
