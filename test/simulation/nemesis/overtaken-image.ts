/**
 * An image that is installed later than the entries after it arrive (etcd #1763: an old snapshot deleted the tail that matched it).
 *
 * One member is away for a while, and its leader forgets the entries that it lacks, so that it has to fetch an image. The image ends with an
 * entry of which only that leader knows that it is committed. Before the image is installed the leader is gone, and another one, whose log
 * still reaches back, brings that entry and more; but it can commit nothing without the member's word, and that comes late. Or the member
 * itself leads by then.
 */

import type { Index, NodeId } from "../../../src/raft/types.ts";
import type { RaftLog } from "../../../src/raft/log.ts";
import { retainedMax } from "../options.ts";
import type { SimMember } from "../world/member.ts";
import type { Script, Stage } from "./staged.ts";

export function* overtakenImage({ world, random, leader, followers }: Stage): Script {
  const { network } = world;
  const { links } = network;
  const [behind, ...others] = followers;
  // With the leader a majority, and not one more: with the member in the leader's place it takes all of them.
  const witnesses = others.slice(0, Math.floor((followers.length + 1) / 2));
  if (behind === undefined || witnesses.length === 0) return;
  const [ahead, rest] = [idsOf(witnesses), idsOf(others.slice(witnesses.length))];
  const joinOnly = (...cuts: readonly Parameters<typeof links.split>[]): void => {
    links.heal();
    links.split(rest, [leader.id, behind.id, ...ahead], "both");
    for (const cut of cuts) links.split(...cut);
  };
  try {
    joinOnly([[behind.id], [leader.id, ...ahead], "both"]);
    // Or they would forget what the one that is away lacks, too.
    for (const { imageLane } of witnesses) imageLane.isHung = true;
    world.faulted("overtaken image", behind.id);
    const had = logOf(behind)?.lastIndex ?? 0;
    const isLeaderAhead = (): boolean => {
      const applied = logOf(leader)?.appliedIndex ?? 0;
      return (
        applied > had + retainedMax + 1 &&
        !isHeardOf(behind, leader) &&
        witnesses.every((each) => commitOf(each) < applied)
      );
    };
    if (!(yield { until: isLeaderAhead, timeouts: 10 })) return;
    links.split([leader.id], ahead, "out");
    leader.process?.run(() => leader.replica?.compact(() => {}));
    if (!(yield { until: () => (logOf(leader)?.firstIndex ?? 0) > had + 1, timeouts: 1 })) return;
    joinOnly([[behind.id], ahead, "both"], [[leader.id], ahead, "out"]);
    const image = (): Index => network.receivedImage(behind.id);
    if (!(yield { until: () => image() > had, timeouts: 6 })) return;
    behind.imageLane.isHung = true;
    joinOnly([[leader.id], [behind.id, ...ahead], "both"]);
    const isElected = ({ replica }: SimMember): boolean => replica?.isLeader === true;
    if (!(yield { until: () => witnesses.some(isElected), timeouts: 8 })) return;
    const successor = witnesses.find(isElected)!;
    // Its word for an entry of the new term is what would commit all of them (paper §5.4.2).
    network.holdUp(
      (message) =>
        message.type === "appendReply" &&
        message.from === behind.id &&
        successor.core?.termAt(message.index) === message.term,
    );
    const isSlow = random.chance(0.5);
    const isOvertaken = (): boolean =>
      (logOf(behind)?.lastIndex ?? 0) >= image() + (isSlow ? 0 : 1) && commitOf(behind) < image();
    if (!(yield { until: isOvertaken, timeouts: 6 })) return;
    // The log may as well be so slow that not even what the image stands for is durable in it.
    if (isSlow) behind.lane.isHung = true;
    world.faulted("image below the log", behind.id);
    if (!isSlow && random.chance(0.5)) {
      // What it appends as a leader reaches nobody, so that it has committed nothing yet.
      const electors = [leader, ...witnesses].filter((each) => each !== successor);
      joinOnly([[successor.id], idsOf([behind, ...electors]), "both"]);
      network.holdUp(({ type, from }) => type === "append" && from === behind.id);
      if (!(yield { until: () => isElected(behind), timeouts: 6 })) return;
      world.faulted("image of a leader", behind.id);
    }
    behind.imageLane.release();
    yield { until: () => behind.appliedIndex >= image(), timeouts: 3 };
  } finally {
    network.letGo();
    behind.lane.release();
    for (const { imageLane } of [behind, ...witnesses]) imageLane.release();
    links.heal();
  }
}

function idsOf(members: readonly SimMember[]): readonly NodeId[] {
  return members.map(({ id }) => id);
}

function logOf({ core }: SimMember): RaftLog | undefined {
  return core?.view.node.log;
}

/** A leader keeps its log for those that it has heard of lately. */
function isHeardOf({ id }: SimMember, { core }: SimMember): boolean {
  const role = core?.view.role;
  return role?.role === "leader" && role.replication.isActive(id);
}

function commitOf(member: SimMember): Index {
  return logOf(member)?.commitIndex ?? 0;
}
