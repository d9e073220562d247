/**
 * The time contract (DESIGN.md section 4). No lease expires before its TTL has passed since its client sent the last acknowledged
 * renewal, by the fastest clock among those that may have led. What is overdue goes soon, by the cluster's own time. And that time is held
 * for a new leader at most once in each interval.
 */

import type { Index } from "../../../src/raft/types.ts";
import type { RegistryEvent } from "../../../src/registry/commands.ts";
import type { Violate } from "../violation.ts";
import type { AgreedState } from "./agreed-state.ts";
import type { CommittedBy } from "./committed-log.ts";

/** The last acknowledged sign of life of one registration. */
interface Sign {
  readonly sentAtMs: number;
  readonly jumpsMs: number;
  readonly ttlMs: number;
}

export interface LeaseClocks {
  /** The fastest clock's milliseconds in one true millisecond. */
  readonly fastestRate: number;
  /** How far the clocks have jumped so far, all of them together, each jump up to what one stamp may advance. */
  readonly jumpsMs: () => number;
  /** How long after its deadline, and after a leader could know of it, a lease may still be there by cluster time. */
  readonly lateMaxMs: number;
  /** A grace is given at most once in this much cluster time. */
  readonly graceIntervalMs: number;
}

export class Leases {
  readonly #violate: Violate;
  readonly #clocks: LeaseClocks;
  /** By incarnation. */
  readonly #signs = new Map<number, Sign>();
  /** The present incarnation under each name. */
  readonly #incarnations = new Map<string, number>();
  /** The index of the last committed renewal, by incarnation. */
  readonly #renewedAt = new Map<number, Index>();

  /** Cluster time of the last grace. */
  #heldAt: number | null = null;
  /** Of each committed entry: its own stamp, and the last one that was made before a leader knew of it. */
  readonly #stamps: number[] = [];
  readonly #stampedUpTo: number[] = [];
  /** The last entry that a leader has applied. */
  #appliedByLeader: Index = 0;
  /** Every stamp up to here was made before its leader could propose what is due now. */
  #stampedUnknowing = 0;

  constructor(violate: Violate, clocks: LeaseClocks) {
    this.#violate = violate;
    this.#clocks = clocks;
  }

  /** A client was told that its registration or renewal, sent then, took effect. */
  acknowledged(incarnation: number, sentAtMs: number, jumpsMs: number, ttlMs: number): void {
    const before = this.#signs.get(incarnation);
    if (before === undefined || before.sentAtMs < sentAtMs)
      this.#signs.set(incarnation, { sentAtMs, jumpsMs, ttlMs });
  }

  /** A renewal was acknowledged: it must be in the log, after what was there when it was sent. */
  checkRenewed(who: string, incarnation: number, after: Index): void {
    const at = this.#renewedAt.get(incarnation) ?? 0;
    if (at <= after)
      this.#violate(
        "renewals",
        `${who} was told that ${incarnation} is renewed, and the log after ${after} does not say so`,
      );
  }

  renewed(incarnation: number, index: Index): void {
    this.#renewedAt.set(incarnation, index);
  }

  changed(events: readonly RegistryEvent[], index: Index, nowMs: number): void {
    for (const event of events) {
      if (event.type === "put") this.#incarnations.set(nameOf(event.instance), event.instance.incarnation);
      if (event.type === "delete" && event.reason === "expired") this.#expired(event, index, nowMs);
    }
  }

  /** An election entry that holds the clock was committed. */
  held(clusterTime: number): void {
    if (this.#heldAt !== null && clusterTime - this.#heldAt < this.#clocks.graceIntervalMs)
      this.#violate("election grace", `the clock was held at ${this.#heldAt} and again at ${clusterTime}`);
    this.#heldAt = clusterTime;
  }

  /**
   * A leader has applied what is committed up to `index`: only now can it know the deadlines that this set. Until its own disk has an entry
   * that others' disks committed, it goes on stamping in the dark.
   */
  appliedByLeader(index: Index, stampedUpTo: number): void {
    for (let i = this.#appliedByLeader; i < index; i += 1) this.#stampedUpTo[i] = stampedUpTo;
    this.#appliedByLeader = Math.max(this.#appliedByLeader, index);
  }

  /**
   * After each committed entry, which was stamped `stamp`. `isNewTurn`: a leader's first entry, or one that expired what was due by its own
   * stamp.
   *
   * A leader proposes to expire what it has applied, one entry at a time, and what its predecessors left when its first entry is committed
   * (paper §5.4.2). A leader that can commit nothing, because of slow followers for example, goes on stamping in the dark.
   */
  checkOverdue({ registry }: AgreedState, stamp: number, isNewTurn: boolean, by: CommittedBy): void {
    this.#stamps.push(stamp);
    this.#stampedUpTo.push(by.stampedUpTo);
    if (isNewTurn) this.#stampedUnknowing = by.stampedUpTo;
    const deadline = registry.nextDeadline();
    if (deadline === null || deadline + this.#clocks.lateMaxMs >= stamp) return;
    const knownAt = Math.max(deadline, this.#stampedUnknowing, this.#knownAt(deadline, by.appliedIndex));
    if (knownAt + this.#clocks.lateMaxMs < stamp)
      this.#violate(
        "late expiry",
        `a lease that ended at ${deadline}, and was known at ${knownAt}, is still there at cluster time ${stamp}`,
      );
  }

  /**
   * No entry sets a deadline before its own stamp: whatever set this one was applied with the last entry of that time at the latest. Infinity
   * for not yet.
   */
  #knownAt(deadline: number, appliedIndex: Index): number {
    const last = this.#stamps.findLastIndex((stamp) => stamp <= deadline);
    return last < appliedIndex ? (this.#stampedUpTo[last] ?? 0) : Infinity;
  }

  #expired(event: RegistryEvent & { type: "delete" }, index: Index, nowMs: number): void {
    const incarnation = this.#incarnations.get(nameOf(event)) ?? 0;
    const sign = this.#signs.get(incarnation);
    if (sign === undefined) return;
    const { fastestRate, jumpsMs } = this.#clocks;
    const mayHavePassedMs = (nowMs - sign.sentAtMs) * fastestRate + jumpsMs() - sign.jumpsMs + 1;
    if (mayHavePassedMs >= sign.ttlMs) return;
    this.#violate(
      "early expiry",
      `${event.id} expired at index ${index}, at most ${mayHavePassedMs.toFixed(1)} ms after a renewal that was acknowledged, with a TTL of ${sign.ttlMs} ms`,
    );
  }
}

function nameOf({
  namespace,
  service,
  id,
}: {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
}): string {
  return `${namespace}/${service}/${id}`;
}
