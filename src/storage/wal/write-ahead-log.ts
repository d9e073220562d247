/**
 * The Raft log on disk, as it is written: everything that was asked for while the last group was being written becomes the next group,
 * one write and one sync for all of it.
 *
 * One thing is done at a time, in the order of the calls, so a later write is never durable before an earlier one. What stands where is
 * in this folder's README.md; reading it back is `scan.ts`.
 */

import { assert, InvariantViolation, must } from "../../raft/assert.ts";
import { entryBytes } from "../../raft/entry.ts";
import type {
  Clock,
  LogBase,
  LogStore,
  LogWrite,
  Scheduler,
  StorageDone,
  StorageFailure,
} from "../../replica/ports.ts";
import type { Disk, DiskDone, DiskError, DiskFile } from "../disk.ts";
import { asFailed, inOrder, isFull } from "../disk-steps.ts";
import type { FloorFile } from "../floor.ts";
import { type LogRecord, type Owner, segmentPath } from "./contents.ts";
import { type EncodedGroup, encodeGroup } from "./group.ts";
import { advance, type LogShape } from "./log-shape.ts";

export interface WalLimits {
  /** A segment that has reached this size is followed by a new one. Default 64 MiB. */
  readonly segmentBytesMax: number;
  /** Roughly the most that one group takes; a single write is never divided. Default 16 MiB. */
  readonly groupBytesMax: number;
  /** How long, and for how many entries, the floor may lag behind the log. Defaults 1,000 ms and 1,024 entries. */
  readonly floorLagMs: number;
  readonly floorLagEntries: number;
}

export const defaultWalLimits: WalLimits = {
  segmentBytesMax: 64 * 1024 * 1024,
  groupBytesMax: 16 * 1024 * 1024,
  floorLagMs: 1000,
  floorLagEntries: 1024,
};

/** A segment as its writer remembers it. */
export interface Segment {
  readonly number: number;
  /** The last index of the log when the segment began. */
  readonly indexBefore: number;
  bytes: number;
}

export interface WalStart {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly limits: WalLimits;
  readonly owner: Owner;
  readonly floor: FloorFile;
  /** Why the member's memory is not whole; null when it is. */
  readonly damage: string | null;
  /** What the log holds, up to the group `group` that ends with the checksum `chain`. */
  readonly shape: LogShape;
  readonly group: number;
  readonly chain: number;
  /** The segments that are there, in order; the last one is open in `file`. With no file the next group begins a segment. */
  readonly segments: readonly Segment[];
  readonly file: DiskFile | null;
  readonly nextSegment: number;
}

interface Job {
  readonly records: readonly LogRecord[];
  readonly entries: number;
  readonly bytes: number;
  /** What the log holds after this job and all before it. */
  readonly shape: LogShape;
  /** The member's vote, term or wholeness changes: the floor must say so before anybody is told. */
  readonly changesFloor: boolean;
  readonly endsRecovery: boolean;
  /** The log begins later: what lies wholly before goes. */
  readonly dropsSegments: boolean;
  readonly done: StorageDone;
}

const plainJob = { changesFloor: false, endsRecovery: false, dropsSegments: false } as const;

export class WriteAheadLog implements LogStore {
  readonly #start: WalStart;
  readonly #segments: Segment[];
  #file: DiskFile | null;
  #nextSegment: number;

  /** What is durable. */
  #shape: LogShape;
  #group: number;
  #chain: number;
  #damage: string | null;
  /** What will be durable after everything queued. */
  #queuedShape: LogShape;

  #queue: Job[] = [];
  #isScheduled = false;
  /** When the operation under way was handed to the disk; null when idle. */
  #busySinceMs: number | null = null;
  #failure: StorageFailure | null = null;

  #floorIsDue = false;
  #entriesAboveFloor = 0;
  #cancelFloorTimer: (() => void) | null = null;
  #closing: DiskDone | null = null;

  constructor(start: WalStart) {
    this.#start = start;
    this.#segments = start.segments.map((segment) => ({ ...segment }));
    this.#file = start.file;
    this.#nextSegment = start.nextSegment;
    this.#shape = start.shape;
    this.#queuedShape = start.shape;
    this.#group = start.group;
    this.#chain = start.chain;
    this.#damage = start.damage;
  }

  persist(write: LogWrite, done: StorageDone): void {
    const records: LogRecord[] = [];
    if (write.hardState !== null) records.push({ kind: "hardState", hardState: write.hardState });
    if (write.truncateAfter !== null) records.push({ kind: "truncation", after: write.truncateAfter });
    for (const entry of write.entries) records.push({ kind: "entry", entry });
    const bytes = write.entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    const changesFloor = write.hardState !== null;
    this.#enqueue(records, { ...plainJob, changesFloor, entries: write.entries.length, bytes, done });
  }

  compact(base: LogBase, done: StorageDone): void {
    this.#enqueue([{ kind: "boundary", base }], {
      ...plainJob,
      dropsSegments: true,
      entries: 0,
      bytes: 0,
      done,
    });
  }

  reset(base: LogBase, keepTail: boolean, done: StorageDone): void {
    this.#enqueue([{ kind: "reset", base, keepTail }], {
      ...plainJob,
      dropsSegments: true,
      entries: 0,
      bytes: 0,
      done,
    });
  }

  markRecovered(done: StorageDone): void {
    this.#enqueue([], { ...plainJob, changesFloor: true, endsRecovery: true, entries: 0, bytes: 0, done });
  }

  oldestPendingMs(nowMs: number): number {
    return this.#busySinceMs === null ? 0 : nowMs - this.#busySinceMs;
  }

  /** Finishes what was asked for, brings the floor up to date and closes the files. Nothing may be asked for afterwards. */
  close(done: DiskDone): void {
    assert(this.#closing === null, "a log is closed once");
    this.#closing = done;
    this.#wake();
  }

  #enqueue(records: readonly LogRecord[], job: Omit<Job, "records" | "shape">): void {
    assert(this.#closing === null, "nothing is written to a closed log");
    if (this.#failure === null) {
      for (const record of records) {
        const next = advance(this.#queuedShape, record);
        if (typeof next === "string") throw new InvariantViolation(`a write must continue the log: ${next}`);
        this.#queuedShape = next;
      }
    }
    this.#queue.push({ ...job, records, shape: this.#queuedShape });
    this.#wake();
  }

  /** Begins in a later turn, so that all that this turn asks for is in one group. */
  #wake(): void {
    if (this.#isScheduled || this.#busySinceMs !== null) return;
    if (this.#queue.length === 0 && !this.#floorIsDue && this.#closing === null) return;
    this.#isScheduled = true;
    this.#start.scheduler.soon(() => {
      this.#isScheduled = false;
      this.#run();
    });
  }

  #run(): void {
    if (this.#failure !== null) {
      this.#endAll(this.#queue.splice(0), this.#failure);
      return this.#closeIfAsked();
    }
    const jobs = this.#takeJobs();
    if (jobs.length === 0 && this.#closing !== null && this.#entriesAboveFloor === 0 && !this.#floorIsDue)
      return this.#closeIfAsked();
    this.#busySinceMs = this.#start.clock.monotonicMs();
    if (jobs.some((job) => job.records.length > 0)) this.#writeGroup(jobs);
    // While the log goes on, a floor that only lacked room may lag; the last one may not.
    else this.#afterGroup(jobs, this.#closing !== null);
  }

  #takeJobs(): readonly Job[] {
    let bytes = 0;
    const end = this.#queue.findIndex((job) => {
      const isTooMuch = bytes >= this.#start.limits.groupBytesMax;
      bytes += job.bytes;
      return isTooMuch;
    });
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  #writeGroup(jobs: readonly Job[]): void {
    const current = this.#segments.at(-1);
    const { segmentBytesMax } = this.#start.limits;
    if (this.#file === null || current === undefined || current.bytes >= segmentBytesMax)
      return this.#beginSegment(jobs);
    const file = this.#file;
    const group = this.#encode(jobs, null);
    file.write(current.bytes, group.bytes, (writeError) => {
      if (writeError !== null) {
        return this.#writeFailed(writeError, jobs, (next) => file.truncate(current.bytes, next));
      }
      file.sync((syncError) => {
        if (syncError !== null) return this.#fail("syncing the log", syncError, jobs);
        current.bytes += group.bytes.length;
        this.#groupIsDurable(jobs, group, false);
      });
    });
  }

  /** A segment is made with its first group, in the same write: a crash leaves a whole beginning of it or none. */
  #beginSegment(jobs: readonly Job[]): void {
    const number = this.#nextSegment;
    const path = segmentPath(number);
    const { disk } = this.#start;
    const group = this.#encode(jobs, number);
    let opened: DiskFile | null = null;
    const undo: ((next: DiskDone) => void)[] = [
      (next) => (opened === null ? next(null) : opened.close(next)),
      (next) => disk.remove(path, next),
      (next) => disk.syncFolder("wal", next),
    ];
    disk.open(path, (openError, file) => {
      opened = file;
      if (file === null)
        return this.#writeFailed(must(openError, "a failed open says why"), jobs, (next) =>
          inOrder(undo, next),
        );
      file.write(0, group.bytes, (writeError) => {
        if (writeError !== null) return this.#writeFailed(writeError, jobs, (next) => inOrder(undo, next));
        inOrder([(next) => file.sync(next), (next) => disk.syncFolder("wal", next)], (syncError) => {
          if (syncError !== null) return this.#fail("syncing a new segment of the log", syncError, jobs);
          this.#segmentIsDurable(number, file, group.bytes.length);
          this.#groupIsDurable(jobs, group, true);
        });
      });
    });
  }

  #segmentIsDurable(number: number, file: DiskFile, bytes: number): void {
    // Everything in the old file is durable already, so how its closing ends does not matter.
    this.#file?.close(() => {});
    this.#file = file;
    this.#nextSegment = number + 1;
    this.#segments.push({ number, indexBefore: this.#shape.end.index, bytes });
  }

  #encode(jobs: readonly Job[], segment: number | null): EncodedGroup {
    const { owner, floor } = this.#start;
    const { end, hardState, base } = this.#shape;
    return encodeGroup({
      chain: this.#chain,
      segment:
        segment === null ? null : { owner, number: segment, groupBefore: this.#group, end, hardState, base },
      header: { number: this.#group + 1, floorGeneration: floor.generation },
      records: jobs.flatMap((job) => job.records),
    });
  }

  #groupIsDurable(jobs: readonly Job[], group: EncodedGroup, beganSegment: boolean): void {
    this.#shape = must(jobs.at(-1), "a group has jobs").shape;
    this.#group += 1;
    this.#chain = group.chain;
    this.#entriesAboveFloor += jobs.reduce((sum, job) => sum + Math.max(1, job.entries), 0);
    this.#cancelFloorTimer ??= this.#start.scheduler.after(this.#start.limits.floorLagMs, () => {
      this.#floorIsDue = true;
      this.#wake();
    });
    // With the first group of a segment, so that the loss of the whole segment shows.
    this.#afterGroup(jobs, beganSegment);
  }

  #afterGroup(jobs: readonly Job[], floorIsDue: boolean): void {
    const isBehind = this.#entriesAboveFloor >= this.#start.limits.floorLagEntries;
    const mustWrite = floorIsDue || jobs.some((job) => job.changesFloor);
    if (mustWrite || isBehind || this.#floorIsDue) this.#writeFloor(jobs, mustWrite);
    else this.#dropSegments(jobs);
  }

  #writeFloor(jobs: readonly Job[], mustSucceed: boolean): void {
    const { owner, floor } = this.#start;
    const damage = jobs.some((job) => job.endsRecovery) ? null : this.#damage;
    const { hardState, end } = this.#shape;
    floor.write({ owner, hardState, group: this.#group, chain: this.#chain, end, damage }, (error) => {
      if (error !== null && (mustSucceed || !isFull(error)))
        return this.#fail("writing the floor", error, jobs);
      this.#floorIsDue = false;
      this.#cancelFloorTimer?.();
      this.#cancelFloorTimer = null;
      // A floor that may lag, and only lacked room, is written with a later group.
      if (error === null) this.#entriesAboveFloor = 0;
      this.#damage = damage;
      this.#dropSegments(jobs);
    });
  }

  /** Oldest first and each removal durable before the next, so that a crash never leaves a gap. */
  #dropSegments(jobs: readonly Job[]): void {
    const [oldest, next] = this.#segments;
    const isDue = jobs.some((job) => job.dropsSegments);
    // Whatever the log held above the boundary when `next` began was cut since, or stands in `next` or later.
    if (
      !isDue ||
      oldest === undefined ||
      next === undefined ||
      next.indexBefore > this.#shape.base.last.index
    )
      return this.#finish(jobs);
    const { disk } = this.#start;
    inOrder(
      [(step) => disk.remove(segmentPath(oldest.number), step), (step) => disk.syncFolder("wal", step)],
      (error) => {
        if (error !== null) return this.#fail("removing a segment of the log", error, jobs);
        this.#segments.shift();
        this.#dropSegments(jobs);
      },
    );
  }

  #finish(jobs: readonly Job[]): void {
    this.#busySinceMs = null;
    this.#endAll(jobs, null);
    this.#wake();
  }

  #endAll(jobs: readonly Job[], failure: StorageFailure | null): void {
    for (const job of jobs) job.done(failure);
  }

  /** Nothing of the group was synced. If only the room was missing, it is taken back, and the log ends where it did. */
  #writeFailed(error: DiskError, jobs: readonly Job[], cutBack: (next: DiskDone) => void): void {
    if (!isFull(error)) return this.#fail("writing the log", error, jobs);
    cutBack((cutError) => {
      if (cutError !== null) return this.#fail("cutting back a partial write of the log", cutError, jobs);
      this.#busySinceMs = null;
      // What was queued behind the failed jobs continues them, so it cannot be written either.
      const all = [...jobs, ...this.#queue.splice(0)];
      this.#queuedShape = this.#shape;
      this.#endAll(all, { kind: "full", message: `writing the log failed: ${error.message}` });
      this.#wake();
    });
  }

  /** Nobody knows what the disk holds now; whoever starts next reads it again. */
  #fail(attempt: string, error: DiskError, jobs: readonly Job[]): void {
    this.#failure = asFailed(attempt, error);
    this.#busySinceMs = null;
    this.#floorIsDue = false;
    this.#cancelFloorTimer?.();
    this.#cancelFloorTimer = null;
    this.#endAll([...jobs, ...this.#queue.splice(0)], this.#failure);
    this.#wake();
  }

  #closeIfAsked(): void {
    const done = this.#closing;
    if (done === null || this.#queue.length > 0) return this.#wake();
    this.#busySinceMs = this.#start.clock.monotonicMs();
    this.#cancelFloorTimer?.();
    const file = this.#file;
    inOrder(
      [(next) => (file === null ? next(null) : file.close(next)), (next) => this.#start.floor.close(next)],
      done,
    );
  }
}
