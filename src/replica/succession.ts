/**
 * Whether this leader should go on leading, by how it is and how the others say that they are: its disk, its room, its pace. What it decides is
 * in `disk-rules.ts`, `room-rules.ts` and `hand-over.ts`; here it is done, and remembered when.
 */

import type { NodeId } from "../raft/types.ts";
import { judgeDisk } from "./disk-rules.ts";
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
  #handedOverAtMs = -Infinity;

  constructor(options: {
    readonly settings: ReplicaSettings;
    readonly observer: ReplicaObserver;
    readonly transfer: (to: NodeId) => void;
  }) {
    this.#settings = options.settings;
    this.#observer = options.observer;
    this.#transfer = options.transfer;
  }

  judgeDisk(
    nowMs: number,
    own: { readonly writeMs: number | null; readonly pendingMs: number },
    successors: readonly Successor[],
  ): void {
    const others = successors.map(({ id, report }) => ({ id, ms: report.writeMs }));
    const verdict = judgeDisk({ ...own, others, sinceMs: this.#sinceMs(nowMs) }, this.#settings);
    if (verdict.kind === "keep") return;
    this.#observer.diskHandOver(verdict.to, Math.max(own.writeMs ?? 0, own.pendingMs));
    this.#handOver(verdict.to, nowMs);
  }

  /** For a leader whose room is short. */
  judgeRoom(nowMs: number, successors: readonly Successor[]): void {
    const others = successors.map(({ id, report }) => ({ id, roomIsShort: report.roomIsShort }));
    const to = successorWithRoom({ sinceMs: this.#sinceMs(nowMs), others });
    if (to === null) return;
    this.#observer.roomHandOver(to);
    this.#handOver(to, nowMs);
  }

  judgePace(nowMs: number, lateMs: number | null, successors: readonly Successor[]): void {
    if (lateMs === null) return;
    const others = successors.map(({ id, report }) => ({ id, ms: report.lateMs }));
    const own = { ms: lateMs, badMs: this.#settings.leaderLateMs, sinceMs: this.#sinceMs(nowMs) };
    const to = betterLeader(own, others);
    if (to === null) return;
    this.#observer.paceHandOver(to, lateMs);
    this.#handOver(to, nowMs);
  }

  #sinceMs(nowMs: number): number {
    return nowMs - this.#handedOverAtMs;
  }

  #handOver(to: NodeId, nowMs: number): void {
    this.#handedOverAtMs = nowMs;
    this.#transfer(to);
  }
}
