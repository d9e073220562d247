/** A leader that is bad at its work for long, while others could lead, has tried to hand over (`src/replica/succession.ts`). */

import type { Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

export interface BadLeader {
  /** By what it is bad. */
  readonly by: "pace" | "disk";
  /** The term that it led then. */
  readonly term: Term;
  /** True time: whoever has handed over since then need not again. */
  readonly sinceMs: number;
}

/** To be called when it has been bad for long enough. What came of the attempt is not the leader's fault. */
export function checkMakingWay(leader: SimMember, { by, term, sinceMs }: BadLeader, violate: Violate): void {
  const view = leader.core?.view;
  const stillLeads = view?.role.role === "leader" && view.node.term === term;
  if (stillLeads && leader.handedOverAtMs < sinceMs)
    violate(by, `${leader.id} has led term ${term} badly all the time, and has handed over to nobody`);
}
