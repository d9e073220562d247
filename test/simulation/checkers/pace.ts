/** A leader that has been late with its own work for long, while others could lead, has tried to hand over (`src/replica/pace.ts`). */

import type { Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

/**
 * To be called when it has been late for long enough. `term`: the one that it led then; `sinceMs`: when it may have handed over last, so that it
 * need not again. What came of the attempt is not the leader's fault.
 */
export function checkPace(member: SimMember, term: Term, sinceMs: number, violate: Violate): void {
  const view = member.core?.view;
  const stillLeads = view?.role.role === "leader" && view.node.term === term;
  if (stillLeads && member.handedOverAtMs < sinceMs)
    violate("pace", `${member.id} has led term ${term} late all the time, and has handed over to nobody`);
}
