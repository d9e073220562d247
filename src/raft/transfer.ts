/**
 * Handing leadership to another member, for maintenance or shutdown (thesis §3.10).
 *
 * The leader takes no proposals meanwhile, lets the target catch up, and then tells it to campaign at once. If that has not worked after
 * an election timeout, the leader goes on as before.
 */

import type { Progress } from "./progress.ts";
import type { Membership, NodeId } from "./types.ts";

export class Transfer {
  readonly to: NodeId;
  #ticksLeft: number;

  constructor(options: { readonly to: NodeId; readonly ticks: number }) {
    this.to = options.to;
    this.#ticksLeft = options.ticks;
  }

  /** Returns whether the time is up. */
  tick(): boolean {
    this.#ticksLeft -= 1;
    return this.#ticksLeft <= 0;
  }
}

/** Whether the member could lead: a voter of the membership to come, and one that keeps its promises. */
export function mayTakeOver(membership: Membership, peer: Progress): boolean {
  return membership.voters.includes(peer.id) && !peer.isRecovering;
}

/** The active voter that lacks least; null when there is none. Of equals the first by id, so that all runs are alike. */
export function bestSuccessor(membership: Membership, peers: Iterable<Progress>): NodeId | null {
  let best: Progress | null = null;
  for (const peer of peers) {
    if (!mayTakeOver(membership, peer) || !peer.isRecentlyActive) continue;
    if (best === null || peer.matchIndex > best.matchIndex) best = peer;
  }
  return best?.id ?? null;
}
