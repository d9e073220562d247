/**
 * Invariant: whoever holds the newest committed membership, and is named by it, is refused by nobody who goes by an older one. Such a member may
 * be the only one from whom the other can learn of the newer one: refused, it could never bring it.
 */

import { isAtLeast } from "../../../src/raft/entry.ts";
import type { EntryId, NodeId } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { MembershipEntry } from "./committed-log.ts";

interface Party {
  readonly id: NodeId;
  readonly incarnation: string;
  /** Where the membership stands that it goes by. */
  readonly membershipAt: EntryId;
}

/** To be called when `judge` does not take `other` for the member that it says it is. `newest`: the last committed membership. */
export function checkRefusal(
  judge: Party,
  other: Party,
  newest: MembershipEntry | null,
  violate: Violate,
): void {
  if (newest === null || isAtLeast(judge.membershipAt, newest)) return;
  const { term, index } = other.membershipAt;
  const isNamed = newest.membership.members.some(
    ({ id, incarnation }) => id === other.id && incarnation === other.incarnation,
  );
  if (!isNamed || term !== newest.term || index !== newest.index) return;
  violate(
    "refusals",
    `${judge.id}, by the membership at ${judge.membershipAt.index}, refuses ${other.id} ${other.incarnation}, which the one at ${index} names`,
  );
}
