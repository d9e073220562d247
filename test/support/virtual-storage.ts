/**
 * A disk for driver tests: what is durable stands in plain fields and survives a crash; what is under way does not.
 */

import { batchFromArray, batchToArray } from "../../src/registry/command-codec.ts";
import {
  noEntry,
  type BootState,
  type Entry,
  type HardState,
  type Membership,
} from "../../src/raft/types.ts";
import type {
  Clock,
  CommandCodec,
  ImageSink,
  ImageSource,
  LogBase,
  LogStore,
  LogWrite,
  Recovered,
  Scheduler,
  StateBatch,
  StateImage,
  StateRecord,
  StateStore,
  StorageDone,
  StorageFailure,
} from "../../src/replica/ports.ts";

export const emptyBase: LogBase = {
  last: noEntry,
  clusterTime: 0,
  membership: { voters: [], outgoing: [], learners: [], members: [] },
  membershipIndex: 0,
  lastGraceAt: -1,
};

/** What a member's data folder holds. */
export class VirtualDisk {
  hardState: HardState = { term: 0, vote: null };
  base: LogBase = emptyBase;
  entries: Entry[] = [];
  image: { base: LogBase; records: Map<string, unknown> } = { base: emptyBase, records: new Map() };
  recovering = false;
  /** Milliseconds that one durable write takes. */
  syncMs = 1;
  /** How often such a write comes back to the loop before it is done, each time after `syncMs`: as when it is written, and then synced. */
  stepsPerWrite = 1;
  /** While it does, no write ends. */
  isHanging = false;
  /** What the next operations answer instead of being done. */
  failure: StorageFailure | null = null;
  /** The same, of the image alone. */
  imageFailure: StorageFailure | null = null;
  /** What a read of the image answers, after its first chunk. */
  imageDamage: StorageFailure | null = null;

  /** As a bootstrap leaves it: one membership entry, committed by definition. */
  static bootstrapped(membership: Membership): VirtualDisk {
    const disk = new VirtualDisk();
    disk.hardState = { term: 1, vote: null };
    disk.entries = [{ kind: "membership", term: 1, index: 1, clusterTime: 0, membership }];
    return disk;
  }

  recover(): Recovered {
    if (!this.#hasImageInLog) {
      this.base = this.image.base;
      this.entries = [];
    }
    const { hardState, base, recovering } = this;
    const boot: BootState = {
      hardState,
      base,
      entries: [...this.entries],
      appliedIndex: this.image.base.last.index,
      recovering,
    };
    return { boot, image: this.readImage() };
  }

  /** Not when the image was received, and a crash has prevented the log from beginning after it. */
  get #hasImageInLog(): boolean {
    const { last } = this.image.base;
    return [this.base.last, ...this.entries].some(
      ({ index, term }) => index === last.index && term === last.term,
    );
  }

  readImage(): StateImage {
    const records = [...this.image.records];
    return { base: this.image.base, records, packedRecords: records };
  }
}

export class VirtualLog implements LogStore {
  readonly #disk: VirtualDisk;
  readonly #scheduler: Scheduler & Clock;
  #busyUntil: (() => void)[] = [];
  #isBusy = false;
  #busySinceMs = 0;

  constructor(disk: VirtualDisk, scheduler: Scheduler & Clock) {
    this.#disk = disk;
    this.#scheduler = scheduler;
  }

  persist(write: LogWrite, done: StorageDone): void {
    this.#enqueue(done, () => {
      const disk = this.#disk;
      if (write.hardState !== null) disk.hardState = write.hardState;
      const { truncateAfter } = write;
      if (truncateAfter !== null) disk.entries = disk.entries.filter((entry) => entry.index <= truncateAfter);
      disk.entries.push(...write.entries);
    });
  }

  compact(base: LogBase, done: StorageDone): void {
    this.#enqueue(done, () => this.#cutTo(base, true));
  }

  reset(base: LogBase, keepTail: boolean, done: StorageDone): void {
    this.#enqueue(done, () => this.#cutTo(base, keepTail));
  }

  markRecovered(done: StorageDone): void {
    this.#enqueue(done, () => {
      this.#disk.recovering = false;
    });
  }

  oldestPendingMs(nowMs: number): number {
    return this.#isBusy ? nowMs - this.#busySinceMs : 0;
  }

  #cutTo(base: LogBase, keepTail: boolean): void {
    this.#disk.base = base;
    this.#disk.entries = this.#disk.entries.filter((entry) => keepTail && entry.index > base.last.index);
  }

  /** One write after the other, each taking the disk's time. */
  #enqueue(done: StorageDone, change: () => void): void {
    this.#busyUntil.push(() => {
      const failure = this.#disk.failure;
      if (failure === null) change();
      done(failure);
    });
    if (!this.#isBusy) this.#next();
  }

  #next(): void {
    this.#isBusy = this.#busyUntil.length > 0;
    if (!this.#isBusy) return;
    this.#busySinceMs = this.#scheduler.monotonicMs();
    this.#wait(this.#disk.stepsPerWrite, () => {
      const group = this.#busyUntil;
      this.#busyUntil = [];
      for (const finish of group) finish();
      this.#next();
    });
  }

  /** As long as the disk takes; what hangs ends as soon as it hangs no more. */
  #wait(steps: number, then: () => void): void {
    this.#scheduler.after(this.#disk.syncMs, () => {
      if (this.#disk.isHanging) this.#wait(steps, then);
      else if (steps > 1) this.#wait(steps - 1, then);
      else then();
    });
  }
}

export class VirtualState implements StateStore {
  readonly #disk: VirtualDisk;
  readonly #scheduler: Scheduler;

  constructor(disk: VirtualDisk, scheduler: Scheduler) {
    this.#disk = disk;
    this.#scheduler = scheduler;
  }

  write(batch: StateBatch, done: StorageDone): void {
    this.#scheduler.after(this.#disk.syncMs, () => {
      const { image } = this.#disk;
      const failure = this.#disk.failure ?? this.#disk.imageFailure;
      if (failure !== null) return done(failure);
      for (const key of batch.deletes) image.records.delete(key);
      for (const [key, value] of batch.puts) image.records.set(key, structuredClone(value));
      image.base = batch.base;
      done(null);
    });
  }

  openImage(done: (failure: StorageFailure | null, source: ImageSource | null) => void): void {
    const image = this.#disk.readImage();
    this.#scheduler.after(this.#disk.syncMs, () =>
      done(null, new VirtualSource(image, this.#disk, this.#scheduler)),
    );
  }

  receiveImage(): ImageSink {
    return new VirtualSink(this.#disk, this.#scheduler);
  }
}

/** One record a chunk; the first chunk is the base. */
class VirtualSource implements ImageSource {
  readonly base: LogBase;
  readonly #chunks: Uint8Array[];
  readonly #disk: VirtualDisk;
  readonly #scheduler: Scheduler;

  constructor(image: StateImage, disk: VirtualDisk, scheduler: Scheduler) {
    this.#disk = disk;
    this.base = image.base;
    this.#chunks = [image.base, ...image.records].map((each) =>
      new TextEncoder().encode(JSON.stringify(each)),
    );
    this.#scheduler = scheduler;
  }

  read(position: number, done: (failure: StorageFailure | null, chunk: Uint8Array | null) => void): void {
    const { imageDamage } = this.#disk;
    if (position > 0 && imageDamage !== null) this.#scheduler.soon(() => done(imageDamage, null));
    else this.#scheduler.soon(() => done(null, this.#chunks[position] ?? null));
  }

  close(): void {
    this.#chunks.length = 0;
  }
}

class VirtualSink implements ImageSink {
  readonly #disk: VirtualDisk;
  readonly #scheduler: Scheduler;
  readonly #received: unknown[] = [];

  constructor(disk: VirtualDisk, scheduler: Scheduler) {
    this.#disk = disk;
    this.#scheduler = scheduler;
  }

  write(chunk: Uint8Array, done: StorageDone): void {
    this.#received.push(JSON.parse(new TextDecoder().decode(chunk)));
    this.#scheduler.soon(() => done(null));
  }

  commit(done: (failure: StorageFailure | null, image: StateImage | null) => void): void {
    this.#scheduler.after(this.#disk.syncMs, () => {
      const [base, ...records] = this.#received as [LogBase, ...StateRecord[]];
      this.#disk.image = { base, records: new Map(records) };
      done(null, this.#disk.readImage());
    });
  }

  abort(): void {
    this.#received.length = 0;
  }
}

export const virtualCodec: CommandCodec = {
  encode: (batch) => new TextEncoder().encode(JSON.stringify(batchToArray(batch))),
  decode: (payload) => batchFromArray(JSON.parse(new TextDecoder().decode(payload))),
};
