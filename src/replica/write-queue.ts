/**
 * Writes that wait here for their turn: for a leader to be known, or for a free place among the batches under way.
 *
 * Renewals and deregistrations go before everything else, because they must work while the cluster is overloaded. Whatever outlives
 * its time in this queue has certainly not been applied, and its client is told so.
 */

import { RollcallError } from "../lib/errors.ts";
import { commandBytes, commandCount } from "./command-size.ts";
import { commandInWords } from "./command-words.ts";
import { byUrgency, endUnapplied, isUrgent, type PendingWrite, type WriteEnd } from "./pending-write.ts";

export interface WriteQueueLimits {
  readonly pendingWritesMax: number;
  readonly pendingBytesMax: number;
  readonly entryCommandsMax: number;
  readonly entryBytesMax: number;
}

export class WriteQueue {
  readonly #limits: WriteQueueLimits;
  #urgent: PendingWrite[] = [];
  #ordinary: PendingWrite[] = [];
  /** Taken and not ended yet: waiting here, proposed, or on the way to the leader. */
  #open = { writes: 0, bytes: 0 };

  constructor(limits: WriteQueueLimits) {
    this.#limits = limits;
  }

  /** Those that wait here, and those that have gone on and not ended. */
  get openWrites(): number {
    return this.#open.writes;
  }

  get length(): number {
    return this.#urgent.length + this.#ordinary.length;
  }

  /** Takes a write, or ends it at once as overloaded when too many are open; returns whether it was taken. Urgent ones may fill the last tenth. */
  add(write: PendingWrite): boolean {
    if (this.#isFullFor(write)) {
      const detail = `${this.#open.writes} writes are under way on this member already; try again later or at another member`;
      write.end({ kind: "error", error: new RollcallError("overloaded", detail, { retryAfterMs: 1000 }) });
      return false;
    }
    this.#laneOf(write).push(this.#counted(write));
    return true;
  }

  /** Puts back writes that were surely not applied, in front of their lane, whatever its length. */
  putBack(writes: readonly PendingWrite[]): void {
    const { urgent, ordinary } = byUrgency(writes);
    this.#urgent = [...urgent, ...this.#urgent];
    this.#ordinary = [...ordinary, ...this.#ordinary];
  }

  /** The next writes that fit into one log entry; empty when nothing waits. Outlived ones are ended on the way. */
  takeBatch(nowMs: number): PendingWrite[] {
    const batch: PendingWrite[] = [];
    const room = { commands: this.#limits.entryCommandsMax, bytes: this.#limits.entryBytesMax };
    this.#urgent = this.#urgent.slice(this.#takeFrom(this.#urgent, batch, room, nowMs));
    this.#ordinary = this.#ordinary.slice(this.#takeFrom(this.#ordinary, batch, room, nowMs));
    return batch;
  }

  /** Ends what has outlived its time. `leaderKnown` decides what its client is told. */
  expire(nowMs: number, leaderKnown: boolean): void {
    const isOver = (write: PendingWrite): boolean => write.deadlineMs <= nowMs;
    // Every turn asks, and mostly nothing is over.
    if (!this.#urgent.some(isOver) && !this.#ordinary.some(isOver)) return;
    const over = [...this.#urgent.filter(isOver), ...this.#ordinary.filter(isOver)];
    this.#urgent = this.#urgent.filter((write) => !isOver(write));
    this.#ordinary = this.#ordinary.filter((write) => !isOver(write));
    for (const write of over) endUnapplied(write, waitedInVain(write, nowMs, leaderKnown));
  }

  /** Ends everything that waits. */
  close(why: string): void {
    const error = new RollcallError("unavailable", `${why}; ask another member`, { retryAfterMs: 100 });
    const writes = [...this.#urgent, ...this.#ordinary];
    this.#urgent = [];
    this.#ordinary = [];
    for (const write of writes) endUnapplied(write, error);
  }

  #takeFrom(
    lane: readonly PendingWrite[],
    batch: PendingWrite[],
    room: { commands: number; bytes: number },
    nowMs: number,
  ): number {
    let taken = 0;
    for (const write of lane) {
      const { command } = write.envelope;
      const bytes = commandBytes(command);
      const fits = room.commands >= commandCount(command) && room.bytes >= bytes;
      if (!fits && batch.length > 0) break;
      taken += 1;
      if (write.deadlineMs <= nowMs) {
        endUnapplied(write, waitedInVain(write, nowMs, true));
        continue;
      }
      batch.push(write);
      room.commands -= commandCount(command);
      room.bytes -= bytes;
    }
    return taken;
  }

  #isFullFor(write: PendingWrite): boolean {
    const share = isUrgent(write.envelope) ? 1 : 0.9;
    const { pendingWritesMax, pendingBytesMax } = this.#limits;
    return this.#open.writes >= pendingWritesMax * share || this.#open.bytes >= pendingBytesMax * share;
  }

  /** The write, which gives back its place when it ends. */
  #counted(write: PendingWrite): PendingWrite {
    const bytes = commandBytes(write.envelope.command);
    this.#open.writes += 1;
    this.#open.bytes += bytes;
    const end = (ended: WriteEnd): void => {
      this.#open.writes -= 1;
      this.#open.bytes -= bytes;
      write.end(ended);
    };
    return { ...write, end };
  }

  #laneOf(write: PendingWrite): PendingWrite[] {
    return isUrgent(write.envelope) ? this.#urgent : this.#ordinary;
  }
}

function waitedInVain(write: PendingWrite, nowMs: number, leaderKnown: boolean): RollcallError {
  const waitedMs = Math.round(nowMs - write.startedMs);
  const what = `the ${commandInWords(write.envelope.command)} waited ${waitedMs} ms`;
  if (leaderKnown) {
    return new RollcallError(
      "unavailable",
      `${what} on this member without being taken by the leader; it was not applied, try again`,
      { retryAfterMs: 500 },
    );
  }
  return new RollcallError(
    "no_leader",
    `${what} and no leader was found; it was not applied, try again when a majority of members is up`,
    { retryAfterMs: 1000 },
  );
}
