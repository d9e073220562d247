/**
 * When this member may answer a read, at the level that was asked for. The read itself then costs nothing but memory.
 *
 * `local` needs no leader. `linearizable` waits for a ReadIndex that a majority confirmed after the request came, and for this member to
 * have applied it (thesis §6.4). A caller must look at the registry in the same turn in which its read is allowed.
 */

import { RollcallError } from "../lib/errors.ts";
import { stalenessUnknownMs } from "../raft/staleness.ts";
import type { Index } from "../raft/types.ts";
import type { AppliedWaiters } from "./applied-waiters.ts";
import type { ReadOptions } from "./member.ts";
import type { Scheduler } from "./ports.ts";

/** Null: the read is allowed now. */
export type ReadEnd = (error: RollcallError | null) => void;

interface LinearizableRead {
  readonly deadlineMs: number;
  readonly end: ReadEnd;
}

export interface ReadsOptions {
  /** Draws an id that no process of this cluster draws again. */
  readonly nextId: () => string;
  readonly scheduler: Scheduler;
  readonly appliedIndex: AppliedWaiters;
  readonly revision: AppliedWaiters;
  readonly retryDelayMs: number;
  readonly waitingReadsMax: number;
  readonly startReadWaitMs: number;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  readonly staleMs: () => number;
  /** Whether this member's start has not caught up yet: see Wiring. */
  readonly isReplaying: () => boolean;
  readonly currentRevision: () => number;
  /** Steps a read; the answer comes to `ready` or `failed` with the same context. */
  readonly ask: (context: number, id: string) => void;
  readonly wake: () => void;
}

export class Reads {
  readonly #options: ReadsOptions;
  /** Waiting for the next question: all that gather here share one. */
  #gathering: LinearizableRead[] = [];
  /** Asked and not answered, by context. */
  readonly #asked = new Map<number, LinearizableRead[]>();
  /** After a start: not allowed until this member has caught up with a leader, or has waited long enough. */
  #starting: LinearizableRead[] = [];
  #isStarting = true;
  /** Reads that have neither been allowed nor refused yet. */
  #waiting = 0;
  #nextContext = 1;
  #retryAtMs = 0;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** Calls `end` once, when the read is allowed or when it is clear that it will not be. */
  allow(options: ReadOptions, end: ReadEnd): void {
    if (this.#waiting >= this.#options.waitingReadsMax) return end(tooManyWaiting(this.#waiting));
    this.#waiting += 1;
    const counted: ReadEnd = (error) => {
      this.#waiting -= 1;
      end(error);
    };
    this.#allow(options, counted);
  }

  /** Asks for all reads that have gathered. Once a turn. */
  askGathered(): void {
    if (this.#gathering.length === 0 || this.#options.nowMs() < this.#retryAtMs) return;
    const reads = this.#gathering;
    this.#gathering = [];
    const context = this.#nextContext++;
    this.#asked.set(context, reads);
    this.#options.ask(context, this.#options.nextId());
  }

  ready(context: number, index: Index): void {
    for (const read of this.#take(context)) {
      this.#options.appliedIndex.wait(index, read.deadlineMs, (reached) => {
        read.end(reached ? null : notConfirmed("this member has not applied what the leader has committed"));
      });
    }
  }

  /** The question could not be confirmed. Ask again, with a new id, while there is time. */
  failed(context: number): void {
    const reads = this.#take(context);
    if (reads.length === 0) return;
    this.#gathering = [...reads, ...this.#gathering];
    this.#retryAtMs = this.#options.nowMs() + this.#options.retryDelayMs;
    this.#options.scheduler.after(this.#options.retryDelayMs, this.#options.wake);
  }

  tick(nowMs: number): void {
    this.#endStart(nowMs);
    if (this.#gathering.length > 0) this.#gathering = this.#withoutOutlived(this.#gathering, nowMs);
    for (const [context, reads] of this.#asked) {
      const left = this.#withoutOutlived(reads, nowMs);
      if (left.length === 0) this.#asked.delete(context);
      else this.#asked.set(context, left);
    }
  }

  close(why: string): void {
    const all = [...this.#gathering, ...this.#starting, ...[...this.#asked.values()].flat()];
    this.#gathering = [];
    this.#starting = [];
    this.#asked.clear();
    for (const read of all)
      read.end(
        new RollcallError("unavailable", `${why}; ask another member`, {
          outcome: "none",
          retryAfterMs: 100,
        }),
      );
  }

  #allow(options: ReadOptions, end: ReadEnd): void {
    const deadlineMs = this.#options.nowMs() + options.waitMs;
    const checked: ReadEnd = (error) =>
      error === null ? this.#checkRevision(options, deadlineMs, end) : end(error);
    if (options.consistency === "linearizable") return this.#gather({ deadlineMs, end: checked });
    if (this.#isStarting) this.#starting.push({ deadlineMs, end: checked });
    else checked(null);
  }

  #gather(read: LinearizableRead): void {
    this.#gathering.push(read);
    this.#options.wake();
  }

  #endStart(nowMs: number): void {
    if (!this.#isStarting) return;
    const hasWaited = nowMs - this.#options.startedAtMs >= this.#options.startReadWaitMs;
    if (!this.#options.isReplaying() || hasWaited) this.#isStarting = false;
    const reads = this.#starting.filter((read) => !this.#isStarting || read.deadlineMs <= nowMs);
    this.#starting = this.#starting.filter((read) => this.#isStarting && read.deadlineMs > nowMs);
    for (const read of reads) read.end(null);
  }

  #checkRevision(options: ReadOptions, deadlineMs: number, end: ReadEnd): void {
    const { minRevision } = options;
    if (minRevision === null) return this.#checkStaleness(options, end);
    this.#options.revision.wait(minRevision, deadlineMs, (reached) => {
      if (reached) return this.#checkStaleness(options, end);
      const detail = `this member has applied revision ${this.#options.currentRevision()}, and did not reach revision ${minRevision} within ${options.waitMs} ms`;
      end(new RollcallError("revision_not_reached", detail, { outcome: "none" }));
    });
  }

  #checkStaleness(options: ReadOptions, end: ReadEnd): void {
    const { maxStaleMs } = options;
    const staleMs = this.#options.staleMs();
    if (maxStaleMs === null || staleMs <= maxStaleMs) return end(null);
    const age =
      staleMs === stalenessUnknownMs
        ? "has not heard from a leader since it started"
        : `may be ${staleMs} ms behind`;
    end(
      new RollcallError(
        "too_stale",
        `this member ${age}, more than maxStaleMs ${maxStaleMs}; ask another member`,
        { outcome: "none", retryAfterMs: 500 },
      ),
    );
  }

  /** Mostly these very reads: every turn asks. */
  #withoutOutlived(reads: LinearizableRead[], nowMs: number): LinearizableRead[] {
    const isOutlived = (read: LinearizableRead): boolean => read.deadlineMs <= nowMs;
    if (!reads.some(isOutlived)) return reads;
    const left = reads.filter((read) => !isOutlived(read));
    for (const read of reads) if (isOutlived(read)) read.end(notConfirmed("no leader confirmed it in time"));
    return left;
  }

  #take(context: number): readonly LinearizableRead[] {
    const reads = this.#asked.get(context) ?? [];
    this.#asked.delete(context);
    return reads;
  }
}

function tooManyWaiting(waiting: number): RollcallError {
  const detail = `${waiting} reads are waiting on this member already; try again later or at another member`;
  return new RollcallError("overloaded", detail, { outcome: "none", retryAfterMs: 1000 });
}

function notConfirmed(why: string): RollcallError {
  return new RollcallError(
    "no_leader",
    `the linearizable read was not possible: ${why}; try again, or read with consistency=local`,
    {
      outcome: "none",
      retryAfterMs: 500,
    },
  );
}
