/**
 * How many more members may fail before writes stop.
 */

import type { Membership, NodeId } from "../raft/types.ts";

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Counted from the voters that are reachable now; while the membership is joint, the weaker half decides. Never below 0. */
export function failuresTolerated(membership: Membership, reachable: ReadonlySet<NodeId>): number {
  const halves = [membership.voters, membership.outgoing].filter((half) => half.length > 0);
  const spare = halves.map((half) => half.filter((id) => reachable.has(id)).length - majorityOf(half.length));
  return Math.max(0, Math.min(...spare));
}
