/**
 * Majority arithmetic, plain and joint. Every decision of Raft goes through here: elections, commitment, reads, and whether a leader
 * still leads.
 *
 * While a membership is joint, each decision needs a majority of `voters` *and* a majority of `outgoing` (paper §6, thesis §4.3).
 * Learners never count.
 */

import type { Membership, NodeId } from "./types.ts";

/** The two halves that decide; `outgoing` is empty unless the membership is joint. */
export type Voters = Pick<Membership, "voters" | "outgoing">;

export type VoteResult = "won" | "lost" | "pending";

/** The smallest strict majority: any two of this size share a member. */
export function quorumSize(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/**
 * The highest value that a quorum has reached: a quorum's values are all at least this. 0 when there are no voters.
 *
 * The result may go down, since values of a new leader start at 0 and members come and go: callers that must not go back check that
 * themselves.
 */
export function quorumValue(voters: Voters, valueOf: (id: NodeId) => number): number {
  const incoming = majorityValue(voters.voters, valueOf);
  return voters.outgoing.length === 0
    ? incoming
    : Math.min(incoming, majorityValue(voters.outgoing, valueOf));
}

/** Every acknowledgement asks for this, and a handful of values is counted sooner than sorted. */
function majorityValue(ids: readonly NodeId[], valueOf: (id: NodeId) => number): number {
  const values = ids.map(valueOf);
  const needed = quorumSize(values.length);
  let highest = 0;
  for (const value of values) {
    if (value > highest && countAtLeast(values, value) >= needed) highest = value;
  }
  return highest;
}

function countAtLeast(values: readonly number[], least: number): number {
  let count = 0;
  for (const value of values) if (value >= least) count += 1;
  return count;
}

/** Whether the ids for which `counts` holds make up a quorum. */
export function hasQuorum(voters: Voters, counts: (id: NodeId) => boolean): boolean {
  return quorumValue(voters, (id) => (counts(id) ? 1 : 0)) === 1;
}

/** Where an election stands: lost as soon as those who have not refused cannot make a quorum any more. */
export function voteResult(voters: Voters, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (hasQuorum(voters, (id) => votes.get(id) === true)) return "won";
  return hasQuorum(voters, (id) => votes.get(id) !== false) ? "pending" : "lost";
}
