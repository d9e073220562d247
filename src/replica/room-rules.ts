/**
 * When there is too little room on the disk for the registry to grow. Refusing growth early leaves room for what shrinks it:
 * deregistrations, expiry, and the compaction of the log. Pure.
 */

import type { NodeId } from "../raft/types.ts";
import { majorityOf } from "./fault-tolerance.ts";
import type { Rest } from "./hand-over-attempts.ts";

export interface RoomLimits {
  /** With less free room than this nothing may grow. */
  readonly diskSoftBytes: number;
  /** Set aside for an emergency. */
  readonly diskReserveBytes: number;
}

/** Some more room than the limit ends the shortage, so that it does not come and go with each write. */
const relief = 1.1;

/** `freeBytes`: null when nobody knows. `isFull`: a write has found no room. */
export function isRoomShort(
  wasShort: boolean,
  { freeBytes, isFull }: { readonly freeBytes: number | null; readonly isFull: boolean },
  { diskSoftBytes }: RoomLimits,
): boolean {
  if (isFull) return true;
  if (freeBytes === null) return false;
  return freeBytes < diskSoftBytes * (wasShort ? relief : 1);
}

/** Whether the reserve can be set aside again without causing the next shortage. */
export function mayRestoreReserve(freeBytes: number | null, limits: RoomLimits): boolean {
  const { diskSoftBytes, diskReserveBytes } = limits;
  return freeBytes !== null && freeBytes >= diskSoftBytes * relief + 2 * diskReserveBytes;
}

/**
 * Whose shortage stops growth: this member's, that of the leader, who writes everything first, and one of so many voters that
 * fewer than a majority could follow. A single full member is left behind instead, as any member that is down.
 */
export function whoHasNoRoom(facts: {
  readonly self: NodeId;
  readonly leader: NodeId | null;
  readonly voters: readonly NodeId[];
  readonly short: ReadonlySet<NodeId>;
}): NodeId | null {
  const { self, leader, voters, short } = facts;
  if (short.has(self)) return self;
  if (leader !== null && short.has(leader)) return leader;
  const without = voters.filter((id) => short.has(id));
  const canFollow = voters.length - without.length;
  return canFollow >= majorityOf(voters.length) ? null : (without[0] ?? null);
}

/**
 * Who should lead instead of a leader without room: everything goes through its disk first, while a follower without room is left behind as
 * any member that is down. Null when nobody is known to have room, or the last such change was too short ago.
 */
export function successorWithRoom(
  facts: Rest & {
    /** The voters that could lead. */
    readonly others: readonly { readonly id: NodeId; readonly roomIsShort: boolean }[];
  },
): NodeId | null {
  if (facts.sinceMs < facts.pauseMs) return null;
  return facts.others.find(({ roomIsShort }) => !roomIsShort)?.id ?? null;
}
