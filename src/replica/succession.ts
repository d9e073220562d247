/**
 * Whether this leader should go on leading, by how it is and how the others say that they are: its disk, its room, its pace. What it decides is
 * in `disk-rules.ts`, `room-rules.ts` and `hand-over.ts`; here it is done, and remembered when.
 */

import type { NodeId } from "../raft/types.ts";
import { judgeDisk } from "./disk-rules.ts";
import { HandOverAttempts } from "./hand-over-attempts.ts";
import { betterLeader } from "./hand-over.ts";
import type { ReplicaObserver } from "./observer.ts";
import type { MemberReport } from "./ports.ts";
import { successorWithRoom } from "./room-rules.ts";
import type { ReplicaSettings } from "./settings.ts";

/** A voter that could lead, and what it said of itself. */
export interface Successor {
  readonly id: NodeId;
  readonly report: MemberReport;
}

export class Succession {
  readonly #settings: ReplicaSettings;
  readonly #observer: ReplicaObserver;
  readonly #transfer: (to: NodeId) => void;
  readonly #attempts: HandOverAttempts;

  constructor(options: {
    readonly settings: ReplicaSettings;
    readonly observer: ReplicaObserver;
    readonly transfer: (to: NodeId) => void;
  }) {
    const { electionTicks, tickMs } = options.settings.raft;
    this.#settings = options.settings;
    this.#observer = options.observer;
    this.#transfer = options.transfer;
    this.#attempts = new HandOverAttempts(electionTicks * tickMs);
  }

  judgeDisk(
    nowMs: number,
    own: { readonly writeMs: number | null; readonly pendingMs: number },
    successors: readonly Successor[],
  ): void {
    const candidates = successors.map(({ id, report }) => ({ id, ms: report.writeMs }));
    const rest = this.#attempts.rest(nowMs);
    const to = this.#attempts.firstOf(candidates, nowMs, (others) =>
      judgeDisk({ ...own, ...rest, others }, this.#settings),
    );
    if (to === null) return;
    this.#observer.diskHandOver(to, Math.max(own.writeMs ?? 0, own.pendingMs));
    this.#handOver(to, nowMs);
  }

  /** For a leader whose room is short. */
  judgeRoom(nowMs: number, successors: readonly Successor[]): void {
    const candidates = successors.map(({ id, report }) => ({ id, roomIsShort: report.roomIsShort }));
    const rest = this.#attempts.rest(nowMs);
    const to = this.#attempts.firstOf(candidates, nowMs, (others) => successorWithRoom({ ...rest, others }));
    if (to === null) return;
    this.#observer.roomHandOver(to);
    this.#handOver(to, nowMs);
  }

  judgePace(nowMs: number, lateMs: number | null, successors: readonly Successor[]): void {
    if (lateMs === null) return;
    const candidates = successors.map(({ id, report }) => ({ id, ms: report.lateMs }));
    const own = { ms: lateMs, badMs: this.#settings.leaderLateMs, ...this.#attempts.rest(nowMs) };
    const to = this.#attempts.firstOf(candidates, nowMs, (others) => betterLeader(own, others));
    if (to === null) return;
    this.#observer.paceHandOver(to, lateMs);
    this.#handOver(to, nowMs);
  }

  /** The core has given a transfer up. */
  aborted(to: NodeId, nowMs: number): void {
    this.#attempts.aborted(to, nowMs);
  }

  #handOver(to: NodeId, nowMs: number): void {
    this.#attempts.begun(to, nowMs);
    this.#transfer(to);
  }
}
