/**
 * Writes the registry's changes behind its back into the durable image: coalesced, one atomic batch at a time, with the position that
 * the image stands for afterwards.
 *
 * The log is what makes a change durable, so a batch need not survive a power loss; only now and then one does, and the log may then be
 * compacted up to it.
 */

import type { Index } from "../raft/types.ts";
import type { Applier } from "./applier.ts";
import type { ReplicaObserver } from "./observer.ts";
import type { Clock, StateStore, StorageFailure } from "./ports.ts";

export interface ImageWriterOptions {
  readonly applier: Applier;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly observer: ReplicaObserver;
  readonly flushIntervalMs: number;
  readonly syncIntervalMs: number;
  /** The position that the image on disk stands for. */
  readonly writtenIndex: Index;
  /** The image on disk holds everything up to `index`, whatever happens to the power. */
  readonly onSynced: (index: Index) => void;
  readonly onFailed: (failure: StorageFailure) => void;
}

type SyncWaiter = (failure: StorageFailure | null) => void;

export class ImageWriter {
  readonly #options: ImageWriterOptions;
  #writtenIndex: Index;
  #syncedIndex: Index;
  #lastWriteMs: number;
  #lastSyncMs: number;
  #isWriting = false;
  #isPaused = false;
  #failed = false;
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

  /** Writes when it is time to. */
  tick(nowMs: number): void {
    const isDue = nowMs - this.#lastWriteMs >= this.#options.flushIntervalMs;
    const syncDue = nowMs - this.#lastSyncMs >= this.#options.syncIntervalMs;
    if (
      isDue &&
      (this.#appliedIndex > this.#writtenIndex || (syncDue && this.#writtenIndex > this.#syncedIndex))
    )
      this.#write(syncDue);
  }

  /** Writes and syncs everything applied so far. */
  sync(end: SyncWaiter): void {
    this.#syncWaiters.push(end);
    this.#write(true);
  }

  /** Stops writing while another image takes this one's place; `end` is called when no batch is under way any more. */
  pause(end: () => void): void {
    this.#isPaused = true;
    if (this.#isWriting) this.#pauseWaiter = end;
    else end();
  }

  resumeAt(index: Index): void {
    this.#writtenIndex = index;
    this.#syncedIndex = index;
    this.resume();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#syncWaiters.length > 0) this.#write(true);
  }

  get #appliedIndex(): Index {
    return this.#options.applier.base.last.index;
  }

  #write(sync: boolean): void {
    if (this.#isWriting || this.#isPaused || this.#failed) return;
    const { applier, state, clock } = this.#options;
    const { puts, deletes } = applier.registry.takeChanges();
    const { base } = applier;
    const waiters = sync ? this.#syncWaiters : [];
    if (sync) this.#syncWaiters = [];
    this.#isWriting = true;
    this.#lastWriteMs = clock.monotonicMs();
    if (sync) this.#lastSyncMs = this.#lastWriteMs;
    state.write({ puts, deletes, base, sync }, (failure) => {
      this.#isWriting = false;
      if (failure !== null) this.#writeFailed(failure, waiters);
      else this.#written(base.last.index, puts.length + deletes.length, sync, waiters);
    });
  }

  #written(index: Index, records: number, synced: boolean, waiters: readonly SyncWaiter[]): void {
    this.#writtenIndex = index;
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

  /** The changes of the failed batch are gone from the registry's list, so this image is never written again: the log rebuilds it. */
  #writeFailed(failure: StorageFailure, waiters: readonly SyncWaiter[]): void {
    this.#failed = true;
    for (const waiter of [...waiters, ...this.#syncWaiters]) waiter(failure);
    this.#syncWaiters = [];
    this.#options.observer.storageFailed("image", failure);
    this.#options.onFailed(failure);
    this.#afterWrite();
  }

  #afterWrite(): void {
    const paused = this.#pauseWaiter;
    this.#pauseWaiter = null;
    if (paused !== null) paused();
    else if (this.#syncWaiters.length > 0) this.#write(true);
  }
}
