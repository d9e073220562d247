/**
 * Members that cannot reach each other, or stand still, while clients reach them all: who was cut off must not answer as if it still led, and
 * what arrives late must change nothing.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { MemberProcess } from "../../../test/support/member-process.ts";
import { Holders } from "./holders.ts";
import { Lab } from "./lab.ts";
import type { LabMember } from "./lab-member.ts";
import { goesOn, isLookDue, progress, type Run } from "./runs.ts";
import { Tally } from "./tally.ts";

/** At most so long, which is several election timeouts of the lab. */
const harmMs = 4_000;
const successorMs = 20_000;
const slowestMs = 150;
/** So that a leader that was deposed knows less than the others. */
const writesMissed = 20;
/** In which a request comes to a member, and an answer back. */
const arrivalMs = 200;
const killedShare = 0.2;

interface Scene {
  readonly lab: Lab;
  readonly leader: LabMember;
  readonly follower: LabMember;
  readonly others: (member: LabMember) => readonly LabMember[];
}

interface Harm {
  readonly name: string;
  /** Whether somebody else has to lead before it is over. */
  readonly deposes: boolean;
  readonly begin: (scene: Scene) => void;
}

const harms: readonly Harm[] = [
  {
    name: "the leader is alone",
    deposes: true,
    begin: ({ lab, leader, others }) => isolate(lab, leader, others(leader)),
  },
  {
    name: "nobody hears the leader",
    deposes: true,
    begin: ({ lab, leader, others }) => {
      for (const other of others(leader)) lab.links.cut(leader.id, other.id);
    },
  },
  {
    name: "the leader hears nobody",
    deposes: true,
    begin: ({ lab, leader, others }) => {
      for (const other of others(leader)) lab.links.cut(other.id, leader.id);
    },
  },
  { name: "the leader stands still", deposes: true, begin: ({ leader }) => processOf(leader).pause() },
  {
    name: "the leader stands still, and wakes up alone",
    deposes: true,
    begin: ({ lab, leader, others }) => {
      processOf(leader).pause();
      isolate(lab, leader, others(leader));
    },
  },
  {
    name: "a follower is alone",
    deposes: false,
    begin: ({ lab, follower, others }) => isolate(lab, follower, others(follower)),
  },
  {
    name: "a follower hears nobody",
    deposes: false,
    begin: ({ lab, follower, others }) => {
      for (const other of others(follower)) lab.links.cut(other.id, follower.id);
    },
  },
  {
    name: "the leader and a follower do not reach each other",
    deposes: false,
    begin: ({ lab, leader, follower }) => isolate(lab, leader, [follower]),
  },
  {
    name: "each hears one other",
    deposes: false,
    begin: ({ lab }) => {
      lab.members.forEach((member, i) => {
        const next = lab.members[(i + 1) % lab.members.length];
        if (next !== undefined) lab.links.cut(member.id, next.id);
      });
    },
  },
  {
    name: "everybody is alone",
    deposes: false,
    begin: ({ lab, others }) => {
      for (const member of lab.members) isolate(lab, member, others(member));
    },
  },
  {
    name: "everything is slow",
    deposes: false,
    begin: ({ lab }) => lab.links.slow(() => lab.random() * slowestMs),
  },
  {
    name: "everybody stands still",
    deposes: false,
    begin: ({ lab }) => {
      for (const member of lab.members) processOf(member).pause();
    },
  },
];

export const networkFaults: Run = async (options) => {
  const { say, only } = options;
  const wanted = harms.filter(({ name }) => name.includes(only));
  const lab = await Lab.start({ ...options, hasRelays: true, writeMs: 1_000 });
  const holders = new Holders(lab.members, (what) => lab.fault(what));
  holders.start(4);
  const tally = new Tally();
  let ahead: Harm[] = [];
  try {
    for (let round = 1; goesOn(tally, options); round += 1) {
      await lab.pause(1_500);
      if (ahead.length === 0) ahead = lab.shuffled(wanted);
      const harm = ahead.pop();
      if (harm === undefined) throw new Error(`no harm's name contains "${only}"`);
      await harmOnce(lab, tally, harm);
      if (isLookDue(round, options)) await tally.look(lab);
      if (round % 25 === 0) say(progress(tally, lab));
    }
    await tally.look(lab);
    say(
      `leases: ${holders.renewed} renewals acknowledged, ${holders.found} found, ${holders.ranOut} ran out`,
    );
    return [tally, lab.ledger];
  } finally {
    await holders.stop();
    await lab.end();
  }
};

async function harmOnce(lab: Lab, tally: Tally, harm: Harm): Promise<void> {
  const leader = (await lab.leader()) ?? lab.pick(lab.members);
  const others = (member: LabMember): readonly LabMember[] => lab.members.filter((one) => one !== member);
  harm.begin({ lab, leader, others, follower: lab.pick(others(leader)) });
  await lab.pause(harmMs);
  const isNoticed = !harm.deposes || (await lab.leaderOtherThan(leader, successorMs));
  if (!isNoticed) lab.fault(`nobody else led within ${successorMs} ms when ${harm.name}`);
  if (harm.deposes) await lab.acknowledges(writesMissed);
  const isKilled = lab.random() < killedShare;
  // Whoever was deposed is to be asked.
  const killed = lab.pick(harm.deposes ? others(leader) : lab.members);
  if (isKilled) await killed.kill();
  // What waits at a leader that stands still is answered by one that was deposed meanwhile, and cannot know it yet.
  const looks = leader.isRunning ? lab.lookAtAll(leader) : null;
  await sleep(arrivalMs);
  for (const member of lab.members) if (member.isRunning) processOf(member).resume();
  await sleep(arrivalMs);
  const held = lab.pick(["arrives", "is lost"] as const);
  lab.links.heal(held);
  if (isKilled) killed.start();
  await looks;
  await lab.ready(lab.members);
  tally.done += 1;
  if (isNoticed) tally.noticed += 1;
  tally.healed += 1;
  tally.note(`${harm.name}${isNoticed ? "" : ", and NOBODY ELSE LEADS"}`);
  if (isKilled) tally.note("of them with one killed");
}

function isolate(lab: Lab, member: LabMember, from: readonly LabMember[]): void {
  for (const other of from) {
    lab.links.cut(member.id, other.id);
    lab.links.cut(other.id, member.id);
  }
}

function processOf(member: LabMember): MemberProcess {
  if (!(member instanceof MemberProcess)) throw new Error(`${member.id} is no process of its own`);
  return member;
}
