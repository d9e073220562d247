/**
 * Invariant: whoever votes, by what is committed, is able to. A voter that does not know yet that it belongs refuses its vote, and only a
 * leader could tell it; but perhaps nobody can be elected without that vote.
 *
 * Not asked of a member whose memory is not whole or whose disk failed, which may not vote; nor of one that is down.
 */

import type { Membership, NodeId } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

export function checkVoters(
  { voters, outgoing, members }: Membership,
  memberOf: (id: NodeId) => SimMember | undefined,
  violate: Violate,
): void {
  for (const { id, incarnation } of members) {
    if (!voters.includes(id) && !outgoing.includes(id)) continue;
    const member = memberOf(id);
    // Its disk may have been wiped meanwhile: that is another one.
    if (member?.incarnation !== incarnation || member.core === null) continue;
    const { node } = member.core.view;
    if (node.mayVote || node.recovery.isRecovering || node.isStorageFailed) continue;
    violate("voters", `${id} is a voter, and does not know: its log ends at ${node.log.lastIndex}`);
  }
}
