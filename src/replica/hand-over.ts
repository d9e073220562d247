/**
 * When a leader makes way for a member that does better at something that is measured in milliseconds: only if it is bad, another is much
 * better, and that is not a habit. Pure.
 */

import type { NodeId } from "../raft/types.ts";
import type { Rest } from "./hand-over-attempts.ts";

/** A member that could lead, and its figure; null while it is not known. */
export interface Candidate {
  readonly id: NodeId;
  readonly ms: number | null;
}

/** Leadership is handed over only to a member that is at least so many times better: the change itself costs something. */
const betterTimes = 4;

/** Who is to lead instead, by one figure; null for nobody. */
export function betterLeader(
  own: { readonly ms: number; readonly badMs: number } & Rest,
  candidates: readonly Candidate[],
): NodeId | null {
  const best = bestOf(candidates);
  if (best === null || own.ms < own.badMs || own.sinceMs < own.pauseMs) return null;
  return best.ms * betterTimes <= own.ms ? best.id : null;
}

/** Of equals the first by id, so that all runs are alike. */
export function bestOf(
  candidates: readonly Candidate[],
): { readonly id: NodeId; readonly ms: number } | null {
  let best: { readonly id: NodeId; readonly ms: number } | null = null;
  for (const { id, ms } of candidates) if (ms !== null && (best === null || ms < best.ms)) best = { id, ms };
  return best;
}
