/**
 * What a leader believes that others hold durably, they held: every match index names an entry that was on that member's disk. Not where
 * the member is in a later term by now: a later leader may have cut off what it acknowledged, and who was deposed need not know.
 */

import type { EntryId, NodeId, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

export function checkMatches(
  member: SimMember,
  disks: {
    readonly hasHeld: (id: NodeId, entry: EntryId) => boolean;
    /** The term that is durable there. */
    readonly termOf: (id: NodeId) => Term;
  },
  violate: Violate,
): void {
  const view = member.core?.view;
  if (view?.role.role !== "leader") return;
  const { log, term } = view.node;
  for (const { id, matchIndex: index } of view.role.replication.peers()) {
    const its = log.termAt(index);
    if (index < log.firstIndex || its === null || disks.termOf(id) > term) continue;
    if (disks.hasHeld(id, { index, term: its })) continue;
    violate(
      "match index",
      `${member.id} leads term ${term} and believes that ${id} holds ${index}@${its}, which it never did`,
    );
  }
}
