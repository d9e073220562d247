/**
 * Writes the registry's changes behind its back into the durable image: coalesced, one atomic batch at a time, with the position that
 * the image stands for afterwards.
 *
 * The log is what makes a change durable, so a batch need not survive a power loss; only now and then one does, and the log may then be
 * compacted up to it.
 */

import type { Index } from "../raft/types.ts";
import type { TakenChanges } from "../registry/taken-changes.ts";
import type { Applier } from "./applier.ts";
import type { ReplicaObserver } from "./observer.ts";
import type { Clock, Scheduler, StateBatch, StateStore, StorageFailure } from "./ports.ts";

export interface ImageWriterOptions {
  readonly applier: Applier;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly observer: ReplicaObserver;
  readonly flushIntervalMs: number;
  /** So many changed records are written without waiting for the interval. */
  readonly flushRecordsMax: number;
  /** Whether this member's start has not caught up yet: see Wiring. */
  readonly isReplaying: () => boolean;
  /** While it does, nothing is written before so many records have changed. */
  readonly replayRecordsMax: number;
  readonly syncIntervalMs: number;
  /** How long a full disk is left alone. */
  readonly fullRetryMs: number;
  /** The position that the image on disk stands for. */
  readonly writtenIndex: Index;
  /** The image on disk holds everything up to `index`, whatever happens to the power. */
  readonly onSynced: (index: Index) => void;
  readonly onFailed: (failure: StorageFailure) => void;
}

type Changes = Pick<StateBatch, "puts" | "deletes">;

/** How much of the changes is made in one turn (see TakenChanges): more than there usually is, and a small part of a long replay. */
const workPerTurn = 10_000;

type SyncWaiter = (failure: StorageFailure | null) => void;

export class ImageWriter {
  readonly #options: ImageWriterOptions;
  #writtenIndex: Index;
  #syncedIndex: Index;
  #lastWriteMs: number;
  #lastSyncMs: number;
  #isWriting = false;
  #isPaused = false;
  /** When the replay was last under way. */
  #replayedAtMs = -Infinity;
  /** Nothing has been written yet since the log was replayed. */
  #isReplayUnwritten = true;
  /** Why this image is not written any more; null while it is. */
  #failure: StorageFailure | null = null;
  /** Why this member's disk is written no more, whichever part of it failed: a paused image would wait in vain for the log. */
  #diskFailure: StorageFailure | null = null;
  /** What a full disk did not take. It is part of the next batch, as far as nothing later has replaced it. */
  #left: Changes | null = null;
  /** Who waits for a synced image of everything applied when they asked. */
  #syncWaiters: SyncWaiter[] = [];
  #pauseWaiter: (() => void) | null = null;

  constructor(options: ImageWriterOptions) {
    this.#options = options;
    this.#writtenIndex = options.writtenIndex;
    this.#syncedIndex = options.writtenIndex;
    this.#lastWriteMs = options.clock.monotonicMs();
    this.#lastSyncMs = this.#lastWriteMs;
  }

  get syncedIndex(): Index {
    return this.#syncedIndex;
  }

  /** Whether what the replay changed is still kept in memory. */
  get isReplayUnwritten(): boolean {
    return this.#isReplayUnwritten;
  }

  /** True while the disk has no room for the image. */
  get full(): boolean {
    return this.#left !== null;
  }

  /** Writes when it is time to. */
  tick(nowMs: number): void {
    if (this.#mayWait(nowMs)) return;
    const { fullRetryMs, flushIntervalMs, syncIntervalMs } = this.#options;
    const isDue =
      nowMs - this.#lastWriteMs >= (this.full ? fullRetryMs : flushIntervalMs) ||
      (!this.full && this.#isMuchChanged);
    // What a long replay has changed is synced at once: the log that told it need not be read again, and need not be kept.
    const isAfterLongReplay = this.#isReplayUnwritten && this.#isMuchChanged;
    const syncDue = isAfterLongReplay || nowMs - this.#lastSyncMs >= syncIntervalMs;
    const isBehind = this.full || this.#appliedIndex > this.#writtenIndex;
    if (isDue && (isBehind || (syncDue && this.#writtenIndex > this.#syncedIndex))) this.#write(syncDue);
  }

  /** Writes and syncs everything applied so far. */
  sync(end: SyncWaiter): void {
    const failure = this.#failure ?? (this.#isPaused ? this.#diskFailure : null);
    if (failure !== null) return end(failure);
    this.#syncWaiters.push(end);
    this.#write(true);
  }

  /** Stops writing while another image takes this one's place; `end` is called when no batch is under way any more. */
  pause(end: () => void): void {
    this.#isPaused = true;
    this.#endVainWaits();
    if (this.#isWriting) this.#pauseWaiter = end;
    else end();
  }

  diskFailed(failure: StorageFailure): void {
    this.#diskFailure ??= failure;
    this.#endVainWaits();
  }

  /** Another image is in the place of the old one, and holds everything up to `index`: also what a full disk had left. */
  resumeAt(index: Index): void {
    this.#options.applier.registry.imageReplaced();
    this.#left = null;
    this.#writtenIndex = index;
    this.#syncedIndex = index;
    this.resume();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#syncWaiters.length > 0) this.#write(true);
  }

  get #isMuchChanged(): boolean {
    return this.#changedCount >= this.#options.flushRecordsMax;
  }

  /**
   * The log has all of a replay: being ready comes first. Whoever has waited for that is answered before the batch, which is the largest
   * of all, so the interval begins anew when the replay ends.
   */
  #mayWait(nowMs: number): boolean {
    const { isReplaying, replayRecordsMax, flushIntervalMs } = this.#options;
    if (isReplaying()) this.#replayedAtMs = nowMs;
    return this.#changedCount < replayRecordsMax && nowMs - this.#replayedAtMs < flushIntervalMs;
  }

  get #changedCount(): number {
    return this.#options.applier.registry.changedCount;
  }

  get #appliedIndex(): Index {
    return this.#options.applier.base.last.index;
  }

  #write(sync: boolean): void {
    if (this.#isWriting || this.#isPaused || this.#failure !== null) return;
    const { applier, clock } = this.#options;
    const taken = applier.registry.beginTakingChanges();
    const { base } = applier;
    const waiters = sync ? this.#syncWaiters : [];
    if (sync) this.#syncWaiters = [];
    this.#isWriting = true;
    this.#lastWriteMs = clock.monotonicMs();
    if (sync) this.#lastSyncMs = this.#lastWriteMs;
    const isAfterReplay = !this.#options.isReplaying();
    this.#make(taken, (made) => {
      const changes = joined(this.#left, made);
      this.#hand({ ...changes, base, sync }, isAfterReplay, waiters);
    });
  }

  /** Lets others have their turn in between. */
  #make(taken: TakenChanges, then: (changes: Changes) => void): void {
    const changes = taken.next(workPerTurn);
    if (changes !== null) then(changes);
    else this.#options.scheduler.soon(() => this.#make(taken, then));
  }

  #hand(batch: StateBatch, isAfterReplay: boolean, waiters: readonly SyncWaiter[]): void {
    const { puts, deletes, base, sync } = batch;
    this.#options.state.write(batch, (failure) => {
      this.#isWriting = false;
      if (isAfterReplay) this.#isReplayUnwritten = false;
      if (failure !== null) this.#writeFailed(failure, batch, waiters);
      else this.#written(base.last.index, puts.length + deletes.length, sync, waiters);
    });
  }

  #written(index: Index, records: number, synced: boolean, waiters: readonly SyncWaiter[]): void {
    this.#writtenIndex = index;
    this.#left = null;
    this.#options.observer.imageWritten(
      records,
      synced,
      this.#options.clock.monotonicMs() - this.#lastWriteMs,
    );
    if (synced) {
      this.#syncedIndex = index;
      this.#options.onSynced(index);
    }
    for (const waiter of waiters) waiter(null);
    this.#afterWrite();
  }

  /** The changes of the batch are gone from the registry's list: after a full disk they are tried again, else the log rebuilds the image. */
  #writeFailed(failure: StorageFailure, changes: Changes, waiters: readonly SyncWaiter[]): void {
    if (failure.kind === "full") this.#left = changes;
    else this.#failure = failure;
    for (const waiter of waiters) waiter(failure);
    this.#endWaiters(failure);
    this.#options.observer.storageFailed("image", failure);
    this.#options.onFailed(failure);
    this.#afterWrite();
  }

  #endVainWaits(): void {
    if (this.#isPaused && this.#diskFailure !== null) this.#endWaiters(this.#diskFailure);
  }

  #endWaiters(failure: StorageFailure): void {
    const waiters = this.#syncWaiters;
    this.#syncWaiters = [];
    for (const waiter of waiters) waiter(failure);
  }

  #afterWrite(): void {
    const paused = this.#pauseWaiter;
    this.#pauseWaiter = null;
    if (paused !== null) paused();
    else if (this.#syncWaiters.length > 0) this.#write(true);
  }
}

/** Both as one: of two changes of a record the later one counts. */
function joined(earlier: Changes | null, later: Changes): Changes {
  if (earlier === null) return later;
  const puts = new Map(earlier.puts);
  const deletes = new Set(earlier.deletes);
  for (const [key, value] of later.puts) {
    puts.set(key, value);
    deletes.delete(key);
  }
  for (const key of later.deletes) {
    puts.delete(key);
    deletes.add(key);
  }
  return { puts: [...puts], deletes: [...deletes] };
}
