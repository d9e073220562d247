/**
 * Whether this member's state is what the others' is. At equal indexes all state hashes are equal, or a defect or a broken machine has made
 * one of them another; more entries would only spread that. Pure.
 */

import type { Index, NodeId } from "../raft/types.ts";
import { majorityOf } from "./fault-tolerance.ts";
import type { Checkpoint } from "./ports.ts";

export interface Disagreement {
  readonly index: Index;
  readonly own: string;
  /** Another hash, and whose it is. */
  readonly others: string;
  readonly members: readonly NodeId[];
  /** A majority of the voters agrees without this member: it is the odd one out. */
  readonly isOddOneOut: boolean;
}

/** At most this many are kept and told: members are seldom further apart. */
export const checkpointsMax = 8;

/** The newest disagreement that concerns this member; null when there is none. */
export function disagreementOf(
  own: readonly Checkpoint[],
  others: ReadonlyMap<NodeId, readonly Checkpoint[]>,
  voters: readonly NodeId[],
): Disagreement | null {
  for (const { index, hash } of own.toReversed()) {
    const byHash = new Map<string, NodeId[]>();
    for (const [id, checkpoints] of others) {
      const theirs = checkpoints.find((checkpoint) => checkpoint.index === index)?.hash;
      if (theirs !== undefined && theirs !== hash) byHash.set(theirs, [...(byHash.get(theirs) ?? []), id]);
    }
    if (byHash.size === 0) continue;
    const [largest] = [...byHash].toSorted(([, a], [, b]) => b.length - a.length);
    if (largest === undefined) continue;
    const [theirs, members] = largest;
    const votersAmong = members.filter((id) => voters.includes(id)).length;
    const isOddOneOut = votersAmong >= majorityOf(voters.length);
    return { index, own: hash, others: theirs, members: members.toSorted(), isOddOneOut };
  }
  return null;
}
