/**
 * What a leader believes that others hold durably, they held: every match index names an entry that was on that member's disk. Not where
 * the member came to a later term: a later leader may have cut off what it acknowledged, and who was deposed need not know.
 */

import { memberOf } from "../../../src/raft/membership.ts";
import type { EntryId, Member, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

export function checkMatches(
  leader: SimMember,
  disks: {
    readonly hasHeld: (member: Member, entry: EntryId) => boolean;
    /** The latest term that was durable there. */
    readonly termOf: (member: Member) => Term;
  },
  violate: Violate,
): void {
  const view = leader.core?.view;
  if (view?.role.role !== "leader") return;
  const { log, term } = view.node;
  for (const { id, matchIndex: index } of view.role.replication.peers()) {
    const its = log.termAt(index);
    const peer = memberOf(log.membership, id);
    if (peer === undefined || index < log.firstIndex || its === null || disks.termOf(peer) > term) continue;
    if (disks.hasHeld(peer, { index, term: its })) continue;
    violate(
      "match index",
      `${leader.id} leads term ${term} and believes that ${id} holds ${index}@${its}, which it never did`,
    );
  }
}
