/**
 * A network that is healed but for a part: a ring, a bridge, a link that works one way, a member that hears nobody. Without pre-vote, the
 * quorum check and stickiness together, members that do not hear the leader unseat it again and again (reference: Howard and Abraham, "Raft
 * does not guarantee liveness in the face of network faults", 2020). Here it has to come to a leader that a
 * majority follows, and to have one again later: one that a bad moment of the network unseated must have found a successor as soon.
 */

import type { Membership } from "../../src/raft/types.ts";
import { isAtLeast } from "../../src/raft/entry.ts";
import type { Random } from "./random.ts";
import type { Links, PartitionShape } from "./world/links.ts";
import type { SimMember } from "./world/member.ts";

/** In longest election timeouts: until there is a leader, and until it is looked for again. */
const settleMax = 10;
const laterTimeouts = 10;

export interface PartialPartition {
  readonly shape: PartitionShape;
  readonly links: Links;
  readonly random: Random;
  /** All that are up. */
  readonly members: readonly SimMember[];
  /** Whether its vote is sure to count: its memory is whole, and it is the member that the others mean. */
  readonly counts: (member: SimMember) => boolean;
  readonly memberships: () => readonly Membership[];
  readonly isQuorum: (membership: Membership, members: readonly SimMember[]) => boolean;
  readonly await: (timeouts: number, what: string, isTrue: () => boolean) => void;
  readonly wait: (timeouts: number) => void;
}

/** Leaves the network healed. Returns false where no leader could be expected: nobody who may win hears a majority. */
export function settleUnder(partition: PartialPartition): boolean {
  const { shape, links, random, members } = partition;
  links.partition(shape, random.shuffled(members.map(({ id }) => id)), random);
  const isHopeful = couldLead(partition).length > 0;
  if (isHopeful) {
    const what = `a leader that a majority follows, under the partition "${shape}"`;
    partition.await(settleMax, what, () => settledLeader(partition) !== null);
    partition.wait(laterTimeouts);
    partition.await(settleMax, `${what}, a while later`, () => settledLeader(partition) !== null);
  }
  links.heal();
  return isHopeful;
}

/**
 * Those that may lead, within a quorum that they hear and that hears them, and whose log nobody's is ahead of. Another who leads now does not
 * count for that quorum: what it appends before it gives up may reach nobody, and from then on it votes for no one else.
 */
function couldLead(partition: PartialPartition): readonly SimMember[] {
  const { members, memberships, isQuorum } = partition;
  return members.filter((member) => {
    const node = member.core?.view.node;
    if (node?.isPromotable !== true) return false;
    const isAhead = members.every(
      ({ core }) => core === null || isAtLeast(node.log.last, core.view.node.log.last),
    );
    const near = neighbours(partition, member).filter(
      (other) => partition.counts(other) && (other === member || other.replica?.isLeader !== true),
    );
    return isAhead && memberships().every((each) => isQuorum(each, near));
  });
}

/** Those that may vote and with whom it can talk, itself among them. */
function neighbours({ members, links }: PartialPartition, one: SimMember): readonly SimMember[] {
  return members.filter(
    ({ id, core }) =>
      core?.view.node.mayVote === true && !links.isCut(one.id, id) && !links.isCut(id, one.id),
  );
}

/** A leader whose followers are a quorum that it hears. One that is only heard has to give up first. */
function settledLeader(partition: PartialPartition): SimMember | null {
  const { members, isQuorum } = partition;
  const follows = (leader: SimMember): readonly SimMember[] =>
    neighbours(partition, leader).filter(
      ({ core }) => core?.leader === leader.id && core.term === leader.core!.term,
    );
  const leaders = members.filter(({ replica }) => replica?.isLeader === true);
  return leaders.find((leader) => isQuorum(leader.core!.view.node.log.membership, follows(leader))) ?? null;
}
