/**
 * Who belongs to the cluster, and how that may change.
 *
 * A change of voters goes through a joint membership, in which the old and the new voters must both agree, so that at no moment can
 * two disjoint majorities decide (paper §6, thesis §4.3). A change of learners or addresses decides nothing and takes one step.
 */

import type { MembershipChange } from "./io.ts";
import type { Member, Membership, NodeId } from "./types.ts";

/** What a member knows before it has heard of any cluster. It belongs to nobody and campaigns never. */
export const noMembership: Membership = { voters: [], outgoing: [], learners: [], members: [] };

export function memberOf(membership: Membership, id: NodeId): Member | undefined {
  return membership.members.find((member) => member.id === id);
}

/** Whether the member's vote counts, in either half. */
export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.outgoing.includes(id);
}

/** Everyone whose vote counts in either half, sorted. */
export function voterIds(membership: Membership): NodeId[] {
  return membership.members.map((member) => member.id).filter((id) => isVoter(membership, id));
}

export function isJoint(membership: Membership): boolean {
  return membership.outgoing.length > 0;
}

export function isSoleVoter(membership: Membership, id: NodeId): boolean {
  return !isJoint(membership) && membership.voters.length === 1 && membership.voters[0] === id;
}

/** The membership to append for a change, or null when the change makes no sense for this one. */
export function changed(membership: Membership, change: MembershipChange): Membership | null {
  switch (change.kind) {
    case "addLearner":
      return withLearner(membership, change);
    case "readdress":
      return withAddresses(membership, change);
    case "promote":
      return withPromoted(membership, change.id);
    case "remove":
      return without(membership, change.id);
  }
}

/**
 * An id that is taken stays taken, whatever the incarnation: a member that lost its disk has lost its promises too, and has to be
 * removed before its successor is added.
 */
function withLearner(
  membership: Membership,
  change: MembershipChange & { kind: "addLearner" },
): Membership | null {
  const { id, incarnation, peerUrl, clientUrl } = change;
  if (id === "" || incarnation === "" || memberOf(membership, id) !== undefined) return null;
  return {
    ...membership,
    learners: sorted([...membership.learners, id]),
    members: [...membership.members, { id, incarnation, peerUrl, clientUrl }].toSorted((a, b) =>
      compareIds(a.id, b.id),
    ),
  };
}

/** The voters stay who they are, so every majority before and after has a member in common, and one step will do. */
function withAddresses(
  membership: Membership,
  { id, incarnation, peerUrl, clientUrl }: MembershipChange & { kind: "readdress" },
): Membership | null {
  const present = memberOf(membership, id);
  if (present?.incarnation !== incarnation) return null;
  if (present.peerUrl === peerUrl && present.clientUrl === clientUrl) return null;
  const moved = { id, incarnation, peerUrl, clientUrl };
  return {
    ...membership,
    members: membership.members.map((member) => (member === present ? moved : member)),
  };
}

function withPromoted(membership: Membership, id: NodeId): Membership | null {
  if (!membership.learners.includes(id)) return null;
  return {
    ...membership,
    voters: sorted([...membership.voters, id]),
    outgoing: membership.voters,
    learners: membership.learners.filter((learner) => learner !== id),
  };
}

/** A learner just goes. A voter stays in the outgoing half until the joint membership is left. The last voter cannot go. */
function without(membership: Membership, id: NodeId): Membership | null {
  if (membership.learners.includes(id)) {
    return onlyKnown({ ...membership, learners: membership.learners.filter((learner) => learner !== id) });
  }
  if (!membership.voters.includes(id) || membership.voters.length === 1) return null;
  return {
    ...membership,
    voters: membership.voters.filter((voter) => voter !== id),
    outgoing: membership.voters,
  };
}

/** The plain membership that a joint one leads to. */
export function leftJoint(membership: Membership): Membership {
  return onlyKnown({ ...membership, outgoing: [] });
}

function onlyKnown(membership: Membership): Membership {
  const { voters, outgoing, learners } = membership;
  const ids = new Set([...voters, ...outgoing, ...learners]);
  return { ...membership, members: membership.members.filter((member) => ids.has(member.id)) };
}

/** What is wrong with a membership that came from outside, as a sentence; null when nothing is. */
export function membershipFault(membership: Membership): string | null {
  const { voters, outgoing, learners, members } = membership;
  const ids = members.map((member) => member.id);
  if (![voters, outgoing, learners, ids].every(isSortedSet)) return "ids must be sorted and unique";
  if (learners.some((id) => isVoter(membership, id))) return "a learner cannot be a voter";
  const placed = new Set([...voters, ...outgoing, ...learners]);
  if (placed.size !== ids.length || ids.some((id) => !placed.has(id)))
    return "members must list exactly the voters and learners";
  if (voters.length === 0 && ids.length > 0) return "there must be a voter";
  return null;
}

function isSortedSet(ids: readonly NodeId[]): boolean {
  return ids.every((id, i) => i === 0 || compareIds(ids[i - 1] ?? id, id) < 0);
}

function sorted(ids: readonly NodeId[]): NodeId[] {
  return ids.toSorted(compareIds);
}

/** By code units, so that every member sorts alike whatever its locale. */
export function compareIds(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
