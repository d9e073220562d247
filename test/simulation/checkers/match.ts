/** What a leader believes that others hold durably, they held: every match index names an entry that was on that member's disk. */

import type { EntryId, NodeId } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

export function checkMatches(
  member: SimMember,
  hasHeld: (id: NodeId, entry: EntryId) => boolean,
  violate: Violate,
): void {
  const view = member.core?.view;
  if (view?.role.role !== "leader") return;
  const { log, term } = view.node;
  for (const { id, matchIndex: index } of view.role.replication.peers()) {
    const its = log.termAt(index);
    if (index < log.firstIndex || its === null || hasHeld(id, { index, term: its })) continue;
    violate(
      "match index",
      `${member.id} leads term ${term} and believes that ${id} holds ${index}@${its}, which it never did`,
    );
  }
}
