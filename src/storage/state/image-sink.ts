/**
 * Receives an image into a store of its own, beside the present one, and puts it in its place once the whole was verified from disk.
 *
 * A crash at any moment leaves either the old image or the new one: until the rename only a temporary store exists, and that never counts.
 */

import type { SnapshotMeta } from "../../raft/types.ts";
import type { ImageSink, LogBase, StateImage, StorageDone, StorageFailure } from "../../replica/ports.ts";
import type { Owner } from "../wal/contents.ts";
import { decodeChunk, type ImageChunk } from "./image-chunks.ts";
import { encodeMeta, metaKey } from "./image-meta.ts";
import { noTotals, plus, type Totals, verifiedSum } from "./record-codec.ts";
import type { RecordStore, RecordStores } from "./record-store.ts";

type CommitDone = (failure: StorageFailure | null, image: StateImage | null) => void;

/** The one temporary store beside the present one. Who has it gives it back when the store is gone, or has become the present one. */
export interface TemporaryPlace {
  /** Calls back, with the number for the store, when nobody else has the place. */
  acquire(start: (number: number) => void): void;
  release(): void;
}

export interface SinkOptions {
  readonly stores: RecordStores;
  readonly place: TemporaryPlace;
  readonly owner: Owner;
  readonly expected: SnapshotMeta;
  /** Opens the published store in the place of the present one. */
  readonly takeOver: (number: number, done: CommitDone) => void;
  /** Calls back in a later turn. */
  readonly soon: (task: () => void) => void;
}

interface OpenTemporary {
  readonly number: number;
  readonly records: RecordStore;
}

export class StoreSink implements ImageSink {
  readonly #options: SinkOptions;
  #store: OpenTemporary | null = null;
  #isWriting = false;
  #chunks = 0;
  #totals: Totals = noTotals;
  /** What the last chunk said that the whole should come to. */
  #announced: Totals | null = null;
  /** Why what arrived can never become an image; null while it can. */
  #fault: string | null = null;
  #isOver = false;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  /** A chunk that does not belong here spoils the image, not the disk: `commit` then ends without an image. */
  write(bytes: Uint8Array, done: StorageDone): void {
    const chunk = decodeChunk(bytes);
    this.#fault ??= this.#faultOf(chunk);
    if (chunk === null || this.#fault !== null) return this.#options.soon(() => done(null));
    this.#chunks += 1;
    this.#announced = chunk.totals;
    this.#isWriting = true;
    const end: StorageDone = (failure) => {
      this.#isWriting = false;
      if (this.#isOver) this.#discard();
      done(failure);
    };
    this.#withStore((failure, store) => {
      if (store === null || this.#isOver) return end(failure);
      if (chunk.records.length === 0) return this.#options.soon(() => end(null));
      store.records.write({ puts: chunk.records, deletes: [] }, false, end);
    });
  }

  commit(done: CommitDone): void {
    const { announced, totals } = { announced: this.#announced, totals: this.#totals };
    const isWhole = announced?.count === totals.count && announced.sum === totals.sum;
    const store = this.#store;
    if (this.#fault !== null || !isWhole || store === null || this.#isWriting) {
      this.abort();
      return this.#options.soon(() => done(null, null));
    }
    this.#isOver = true;
    const end: CommitDone = (failure, image) => {
      this.#options.place.release();
      done(failure, image);
    };
    store.records.write({ puts: [[metaKey, this.#meta(totals)]], deletes: [] }, true, (writeFailure) => {
      store.records.close((closeFailure) => {
        const failure = writeFailure ?? closeFailure;
        if (failure === null) this.#publish(store.number, end);
        else end(failure, null);
      });
    });
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Otherwise at the end of what is under way.
    if (!this.#isWriting) this.#discard();
  }

  #publish(number: number, done: CommitDone): void {
    const { stores, takeOver } = this.#options;
    stores.publish(number, (failure) => {
      if (failure === null) takeOver(number, done);
      else done(failure, null);
    });
  }

  #discard(): void {
    const store = this.#store;
    if (store === null) return;
    this.#store = null;
    const { stores, place } = this.#options;
    // What cannot be removed now is removed at the next start.
    store.records.close(() => stores.remove(store.number, () => place.release()));
  }

  #meta(totals: Totals): Uint8Array {
    const { owner, expected } = this.#options;
    const { id: _, ...base } = expected;
    return encodeMeta({ owner, base, totals, batch: 0, isReceived: true });
  }

  /** Why the chunk cannot be taken; null when it can, and then it is counted. */
  #faultOf(chunk: ImageChunk | null): string | null {
    if (this.#isOver) return "it came after the end";
    if (chunk === null) return "a chunk is damaged";
    if (chunk.position !== this.#chunks)
      return `chunk ${chunk.position} came in the place of ${this.#chunks}`;
    if (!isSamePosition(chunk.base, this.#options.expected)) return "a chunk belongs to another image";
    for (const record of chunk.records) {
      const sum = verifiedSum(record);
      if (sum === null || record[0] === metaKey) return `the record ${record[0]} is damaged`;
      this.#totals = plus(this.#totals, sum);
    }
    return null;
  }

  #withStore(use: (failure: StorageFailure | null, store: OpenTemporary | null) => void): void {
    if (this.#store !== null) return use(null, this.#store);
    const { stores, place } = this.#options;
    place.acquire((number) => {
      stores.openTemporary(number, (failure, records) => {
        if (records === null) place.release();
        else this.#store = { number, records };
        use(failure, this.#store);
      });
    });
  }
}

function isSamePosition(a: LogBase, b: LogBase): boolean {
  return a.last.index === b.last.index && a.last.term === b.last.term;
}
