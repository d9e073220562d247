/**
 * Invariant: a linearizable read is answered only when a majority has answered heartbeats that were sent after it was asked for (thesis §6.4).
 * That a read was too old shows only where another led meanwhile; that nobody was asked shows at once.
 */

import { isSoleVoter } from "../../../src/raft/membership.ts";
import type { Message } from "../../../src/raft/messages.ts";
import type { Membership, NodeId, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

interface Leadership {
  readonly leader: SimMember;
  readonly term: Term;
  /** True time at which each round left first. */
  readonly sentMs: Map<number, number>;
  /** When the newest round left that each of the others has answered. */
  readonly answeredMs: Map<NodeId, number>;
}

export class ConfirmedRounds {
  readonly #violate: Violate;
  /** The newest of each member. */
  readonly #leaderships = new Map<NodeId, Leadership>();
  /** Some leader was certain to lead still at this time. */
  #confirmedMs = -Infinity;

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  sending(leader: SimMember, message: Message, nowMs: number): void {
    if (message.type !== "heartbeat") return;
    const leadership = this.#leadershipOf(leader, message.term);
    if (leadership.sentMs.has(message.round)) return;
    leadership.sentMs.set(message.round, nowMs);
    this.#confirm(leadership, nowMs);
  }

  arriving(at: SimMember, message: Message, nowMs: number): void {
    if (message.type !== "heartbeatReply") return;
    const leadership = this.#leaderships.get(at.id);
    const sentMs = leadership?.sentMs.get(message.round);
    if (leadership?.term !== message.term || sentMs === undefined) return;
    const { answeredMs } = leadership;
    answeredMs.set(message.from, Math.max(sentMs, answeredMs.get(message.from) ?? sentMs));
    if (sentMs > this.#confirmedMs) this.#confirm(leadership, nowMs);
  }

  /** To be called when a member allows a linearizable read. */
  check(member: SimMember, askedAtMs: number, nowMs: number): void {
    // Who votes alone sends nothing, and may have begun to change that in the same turn.
    const memberships = member.core?.view.node.log.memberships() ?? [];
    if (memberships.some((membership) => isSoleVoter(membership, member.id))) return;
    if (this.#confirmedMs < askedAtMs)
      for (const leadership of this.#leaderships.values()) this.#confirm(leadership, nowMs);
    if (this.#confirmedMs < askedAtMs)
      this.#violate(
        "confirmed rounds",
        `${member.id} allows a read that was asked for at ${askedAtMs}, and no majority has answered a round that was sent after ${this.#confirmedMs}`,
      );
  }

  #leadershipOf(leader: SimMember, term: Term): Leadership {
    const present = this.#leaderships.get(leader.id);
    if (present?.term === term) return present;
    const leadership = { leader, term, sentMs: new Map(), answeredMs: new Map() };
    this.#leaderships.set(leader.id, leadership);
    return leadership;
  }

  /** What the majority has answered by now, by a membership that the leader may have gone by in this turn. It needs no answer of its own. */
  #confirm({ leader, term, answeredMs }: Leadership, nowMs: number): void {
    const { core } = leader;
    if (core?.term !== term) return;
    const valueOf = (id: NodeId): number => (id === leader.id ? nowMs : (answeredMs.get(id) ?? -Infinity));
    for (const membership of core.view.node.log.memberships()) {
      if (membership.voters.length === 0) continue;
      this.#confirmedMs = Math.max(this.#confirmedMs, majorityValue(membership, valueOf));
    }
  }
}

/** The most that a majority has reached; while joint, of both halves. */
function majorityValue({ voters, outgoing }: Membership, valueOf: (id: NodeId) => number): number {
  return Math.min(valueOfHalf(voters, valueOf), valueOfHalf(outgoing, valueOf));
}

/** Every heartbeat and every answer asks, and a handful of values is counted sooner than sorted. Half of nobody holds nothing back. */
function valueOfHalf(half: readonly NodeId[], valueOf: (id: NodeId) => number): number {
  if (half.length === 0) return Infinity;
  const values = half.map(valueOf);
  let highest = -Infinity;
  for (const value of values)
    if (value > highest && countAtLeast(values, value) * 2 > values.length) highest = value;
  return highest;
}

function countAtLeast(values: readonly number[], least: number): number {
  let count = 0;
  for (const value of values) if (value >= least) count += 1;
  return count;
}
