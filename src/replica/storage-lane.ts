/**
 * The storage lane: what the core wants persisted, strictly in order, and the messages that must wait for it.
 *
 * A message leaves only when everything up to its `afterSeq` is durable; a full disk holds the lane (nothing was written, so nothing is
 * lost) and it goes on by itself once there is room; any other failure ends this member's part in the cluster.
 */

import type { Effect } from "../raft/io.ts";
import type { Message } from "../raft/messages.ts";
import type { ReplicaObserver } from "./observer.ts";
import type { Clock, LogStore, LogWrite, Scheduler, StorageDone, StorageFailure } from "./ports.ts";

type PersistEffect = Extract<Effect, { kind: "persist" }>;

/** One thing to do in order: it is handed to the log again, from the start, if the disk was full. */
interface LaneJob {
  readonly seq: number;
  readonly entries: number;
  readonly run: (done: StorageDone) => void;
}

interface HeldMessage {
  readonly afterSeq: number;
  readonly message: Message;
}

export interface StorageLaneOptions {
  readonly log: LogStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly observer: ReplicaObserver;
  readonly diskFullRetryMs: number;
  readonly send: (message: Message) => void;
  /** A write with entries, handed to the log at this moment, became durable. */
  readonly onWritten: (startedAtMs: number) => void;
  /** Everything up to `seq` is durable. */
  readonly onStored: (seq: number) => void;
  readonly onFailed: (failure: StorageFailure) => void;
}

export class StorageLane {
  readonly #options: StorageLaneOptions;
  #unfinished: LaneJob[] = [];
  #held: HeldMessage[] = [];
  #lastSeq = 0;
  #durableSeq = 0;
  #failed = false;
  #full = false;
  /** Raised when the lane starts over after a full disk: completions of the round before are void. */
  #round = 0;

  constructor(options: StorageLaneOptions) {
    this.#options = options;
  }

  /** True while the disk has no room for Raft's own state. */
  get full(): boolean {
    return this.#full;
  }

  /** Of the newest write: what takes its place after it carries the same number. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  persist(effect: PersistEffect): void {
    const write: LogWrite = {
      hardState: effect.hardState,
      truncateAfter: effect.truncateAfter,
      entries: effect.entries,
    };
    this.add({
      seq: effect.seq,
      entries: write.entries.length,
      run: (done) => this.#options.log.persist(write, done),
    });
  }

  /** Queues anything that must keep its place among the writes. */
  add(job: LaneJob): void {
    if (this.#failed) return;
    this.#lastSeq = Math.max(this.#lastSeq, job.seq);
    this.#unfinished.push(job);
    if (!this.#full) this.#start(job);
  }

  send(message: Message, afterSeq: number): void {
    if (this.#failed) return;
    if (afterSeq <= this.#durableSeq) this.#options.send(message);
    else this.#held.push({ afterSeq, message });
  }

  #start(job: LaneJob): void {
    const { clock } = this.#options;
    const round = this.#round;
    const startedAt = clock.monotonicMs();
    job.run((failure) => {
      if (this.#failed || round !== this.#round) return;
      if (failure === null) this.#finished(job, startedAt);
      else if (failure.kind === "full") this.#hold(failure);
      else this.#fail(failure);
    });
  }

  #finished(job: LaneJob, startedAtMs: number): void {
    this.#unfinished.shift();
    this.#durableSeq = job.seq;
    this.#options.observer.persisted(job.entries, this.#options.clock.monotonicMs() - startedAtMs);
    if (job.entries > 0) this.#options.onWritten(startedAtMs);
    this.#releaseHeld();
    this.#options.onStored(job.seq);
  }

  /** Messages to different members need no order among each other, and Raft needs none at all. */
  #releaseHeld(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = held.filter((each) => each.afterSeq > this.#durableSeq);
    for (const { message, afterSeq } of held) if (afterSeq <= this.#durableSeq) this.#options.send(message);
  }

  #hold(failure: StorageFailure): void {
    this.#full = true;
    this.#round += 1;
    this.#options.observer.storageFailed("log", failure);
    this.#options.scheduler.after(this.#options.diskFullRetryMs, () => {
      if (this.#failed) return;
      this.#full = false;
      for (const job of this.#unfinished) this.#start(job);
    });
  }

  #fail(failure: StorageFailure): void {
    this.#failed = true;
    this.#held = [];
    this.#unfinished = [];
    this.#options.observer.storageFailed("log", failure);
    this.#options.onFailed(failure);
  }
}
