/**
 * What a leader does about its own slow or hanging disk. A cluster is as fast as its leader's disk, so another member leads when it can do
 * so much better that the change is worth it. Pure.
 */

import type { NodeId } from "../raft/types.ts";
import type { Rest } from "./hand-over-attempts.ts";
import { bestOf, betterLeader, type Candidate } from "./hand-over.ts";

export interface DiskFacts extends Rest {
  /** How long the disk is usually seen at work on a write to this member's log; null while it is not known. */
  readonly writeMs: number | null;
  /** How long the oldest unfinished write has been waiting for the disk; 0 for none. */
  readonly pendingMs: number;
  /** The voters that could lead, and how long their writes take. */
  readonly others: readonly Candidate[];
}

export interface DiskLimits {
  /** A leader whose writes take this long looks for a faster member. */
  readonly diskSlowMs: number;
  /** A write that waits this long counts as hanging. */
  readonly diskStallMs: number;
}

/** Of a hanging disk it is not waited longer than this: each attempt may fail for reasons of its own. */
export const stallPauseMs = 2_000;

/** Who is to lead instead; null for nobody. */
export function judgeDisk(facts: DiskFacts, limits: DiskLimits): NodeId | null {
  const { pendingMs, sinceMs, pauseMs, others } = facts;
  if (isStalled(pendingMs, limits)) {
    const fastest = bestOf(others);
    const to = (fastest ?? others.find(({ ms }) => ms === null))?.id ?? null;
    const canHelp = !isStalled(fastest?.ms ?? 0, limits);
    return canHelp && sinceMs >= Math.min(stallPauseMs, pauseMs) ? to : null;
  }
  const ms = Math.max(facts.writeMs ?? 0, pendingMs);
  return betterLeader({ ms, badMs: limits.diskSlowMs, sinceMs, pauseMs }, others);
}

/** A member whose disk hangs must not lead, nor try to. */
export function isStalled(pendingMs: number, { diskStallMs }: DiskLimits): boolean {
  return pendingMs >= diskStallMs;
}

/** Writes by which it is judged how long one usually takes. */
const samples = 9;

/** How long a write usually takes, by the last ones: the middle of them, so that a single slow one says nothing. */
export class WriteTimes {
  readonly #last: number[] = [];
  /** Of those, once somebody has asked: an idle member is asked more often than it writes. */
  #middleMs: number | null = null;

  add(durationMs: number): void {
    this.#last.push(durationMs);
    if (this.#last.length > samples) this.#last.shift();
    this.#middleMs = null;
  }

  /** Null until there are enough. */
  get usualMs(): number | null {
    if (this.#last.length < samples) return null;
    return (this.#middleMs ??= this.#last.toSorted((a, b) => a - b)[Math.floor(samples / 2)] ?? null);
  }
}
