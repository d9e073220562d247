/**
 * An acknowledgement that comes a leadership too late (openraft cecb5de8; etcd's TestLeaderMsgAppSelfAckAfterTermChange).
 *
 * A leader is cut off together with one follower, whose acknowledgements are held up on the way. The others elect a leader that replaces what
 * the first one had appended alone, and hands over to it again, as an operator may ask for at any time. Only now do the acknowledgements
 * arrive, for indexes at which the leader has other entries than the follower, which has been cut off all along.
 */

import type { Message } from "../../../src/raft/messages.ts";
import type { EntryId, Index } from "../../../src/raft/types.ts";
import type { SimMember } from "../world/member.ts";
import { askToHandOver } from "./hand-over.ts";
import type { Script, Stage } from "./staged.ts";

export function* lateAcknowledgement({ world, leader, followers }: Stage): Script {
  const { network } = world;
  const [follower, ...others] = followers;
  // Those who elect another must be a majority, and those who follow the first one a minority that takes its entries.
  if (follower === undefined || others.length <= followers.length + 1 - others.length) return;
  const cutOff = [leader, follower].map(({ id }) => id);
  const rest = others.map(({ id }) => id);
  const isHeldUp = ({ type, from, to }: Message): boolean =>
    type === "appendReply" && from === follower.id && to === leader.id;
  try {
    network.links.split(cutOff, rest, "both");
    network.holdUp(isHeldUp);
    world.faulted("late acknowledgement", follower.id);
    const isAcknowledged = (message: Message): boolean =>
      message.type === "appendReply" && message.accepted && message.index > commitOf(leader);
    if (!(yield { until: () => network.heldUp.some(isAcknowledged), timeouts: 2 })) return;
    const isElected = ({ replica }: SimMember): boolean => replica?.isLeader === true;
    if (!(yield { until: () => others.some(isElected), timeouts: 8 })) return;
    const successor = others.find(isElected)!;
    network.links.heal();
    network.links.split([follower.id], [leader.id, ...rest], "both");
    const isHarmful = (): boolean => network.heldUp.some((message) => isWrongNow(message, leader, follower));
    if (!(yield { until: () => leader.core?.leader === successor.id && isHarmful(), timeouts: 6 })) return;
    askToHandOver(successor, leader.id);
    if (!(yield { until: () => isElected(leader), timeouts: 4 })) return;
    network.links.heal();
    network.links.split([leader.id], [follower.id], "out");
    world.faulted("acknowledgement of an earlier term", leader.id);
    network.letGo();
    yield { until: () => false, timeouts: 1 };
  } finally {
    network.letGo();
    network.links.heal();
  }
}

/** Whether this says that the follower has what it has not. */
function isWrongNow(message: Message, leader: SimMember, follower: SimMember): boolean {
  if (message.type !== "appendReply" || !message.accepted) return false;
  const term = leader.core?.termAt(message.index) ?? null;
  return term !== null && !holds(follower, { index: message.index, term });
}

function commitOf({ core }: SimMember): Index {
  return core?.view.node.log.commitIndex ?? 0;
}

function holds({ core }: SimMember, entry: EntryId): boolean {
  return core?.view.node.log.has(entry) === true;
}
