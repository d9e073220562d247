/** Whoever acknowledges entries up to an index holds what the leader of that term holds there, and so the same log up to it (paper §5.3). */

import type { AppendReply } from "../../../src/raft/messages.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

export function checkAcknowledgement(
  from: SimMember,
  { term, index }: AppendReply,
  leader: SimMember | null,
  violate: Violate,
): void {
  const own = from.core?.view.node;
  const its = leader?.core?.view;
  if (
    own === undefined ||
    its === undefined ||
    its.role.role !== "leader" ||
    its.node.term !== term ||
    own.term !== term
  )
    return;
  const here = own.log.termAt(index);
  const there = its.node.log.termAt(index);
  const isBelow = index < own.log.firstIndex || index < its.node.log.firstIndex;
  if (here === there || isBelow) return;
  violate(
    "acknowledgement",
    `${from.id} acknowledged ${index}@${here ?? "nothing"} in term ${term}, where its leader has ${there === null ? "nothing" : `${index}@${there}`}`,
  );
}
