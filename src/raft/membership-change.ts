/**
 * When a leader may change the membership (paper §6, thesis §4).
 *
 * One change at a time, and only after an entry of the leader's own term has committed: before that, a change of an earlier leader may
 * be committed without the leader knowing, and two changes that each overlap the membership between them need not overlap each other
 * (Ongaro's correction of 2015 to thesis §4.1).
 */

import type { MembershipChange, RejectReason } from "./io.ts";
import { changed, isJoint } from "./membership.ts";
import type { RaftNode } from "./node.ts";
import type { Replication } from "./replication.ts";
import type { Membership, NodeId } from "./types.ts";

/** The membership to append, or why there is none. */
export type ChangeOutcome = { readonly membership: Membership } | { readonly refused: RejectReason };

export function planChange(
  node: RaftNode,
  replication: Replication,
  change: MembershipChange,
): ChangeOutcome {
  const { membership, membershipIndex, commitIndex } = node.log;
  if (!node.knowsCommits) return { refused: "notReady" };
  if (membershipIndex > commitIndex || isJoint(membership)) return { refused: "changeInProgress" };
  const next = changed(membership, change);
  if (next === null) return { refused: "invalidChange" };
  if (change.kind === "promote" && !isCaughtUp(node, replication, change.id))
    return { refused: "notCaughtUp" };
  return { membership: next };
}

/**
 * A voter that lacks much would only make commitment slower and the cluster more fragile (thesis §4.2.1). However little it lacks, it must
 * hold the membership that names it: a member that knows of none, or only of an earlier incarnation of its id, may not vote
 * (`RaftNode.mayVote`). Once its vote counts nobody might win without it, and without a leader it would never learn that it may. The
 * membership is committed when a change is planned, so what the learner has of it is never cut off again.
 */
function isCaughtUp(node: RaftNode, replication: Replication, id: NodeId): boolean {
  const peer = replication.peer(id);
  if (peer === undefined || peer.isRecovering || !peer.isRecentlyActive) return false;
  const { lastIndex, membershipIndex } = node.log;
  return peer.matchIndex >= membershipIndex && lastIndex - peer.matchIndex <= node.config.promotionLagMax;
}
