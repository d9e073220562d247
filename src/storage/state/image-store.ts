/**
 * The durable image of the state machine: its records and, in the same batch, the position that they stand for and the totals that they
 * come to. Which store it is in changes when an image is received.
 */

import { assert } from "../../raft/assert.ts";
import type { SnapshotMeta } from "../../raft/types.ts";
import type {
  ImageSink,
  ImageSource,
  StateBatch,
  StateImage,
  StateStore,
  StorageDone,
  StorageFailure,
} from "../../replica/ports.ts";
import type { Owner } from "../wal/contents.ts";
import { decodeMeta, encodeMeta, metaKey } from "./image-meta.ts";
import { imageOf, type LoadedImage, readImage } from "./image-reader.ts";
import { StoreSink, type TemporaryPlace } from "./image-sink.ts";
import { ViewSource } from "./image-source.ts";
import { PendingBatch } from "./pending-batch.ts";
import { noTotals, type Totals } from "./record-codec.ts";
import type { RecordStore, RecordStores } from "./record-store.ts";
import { RecordSums } from "./record-sums.ts";

export interface ImageStoreStart {
  readonly stores: RecordStores;
  readonly owner: Owner;
  /** The open store, and its number. */
  readonly store: RecordStore;
  readonly number: number;
  /** What the store holds; null for nothing. */
  readonly image: LoadedImage | null;
  /** Calls back in a later turn. */
  readonly soon: (task: () => void) => void;
}

/** So many records are encoded in one turn: the batch after a long replay has a hundred times as many. */
const recordsPerTurn = 2_000;

export class ImageStore implements StateStore {
  readonly #stores: RecordStores;
  readonly #owner: Owner;
  readonly #soon: (task: () => void) => void;
  #store: RecordStore;
  #number: number;
  /** The checksum of each record: what the running sum loses when the record changes. */
  #sums: RecordSums;
  #totals: Totals;
  #batch: number;
  #isWriting = false;
  #failure: StorageFailure | null = null;
  /** A full disk spoils an open LevelDB for good, but not its files: it is opened again before the next batch. */
  #mustReopen = false;
  readonly #temporary = onePlace(() => this.#number + 1);

  constructor(start: ImageStoreStart) {
    this.#stores = start.stores;
    this.#owner = start.owner;
    this.#soon = start.soon;
    this.#store = start.store;
    this.#number = start.number;
    this.#sums = start.image?.sums ?? new RecordSums();
    this.#totals = start.image?.meta.totals ?? noTotals;
    this.#batch = start.image?.meta.batch ?? 0;
  }

  /**
   * After `failed` every later batch fails too: LevelDB does not say what is there. After `full` the next batch has to hold the changes of
   * the one before it, which may or may not be there.
   */
  write(batch: StateBatch, done: StorageDone): void {
    assert(!this.#isWriting, "one batch is under way at a time");
    const failure = this.#failure;
    if (failure !== null) return this.#soon(() => done(failure));
    const end: StorageDone = (result) => {
      this.#isWriting = false;
      if (result?.kind === "failed") this.#failure = result;
      done(result);
    };
    if (!this.#mustReopen) return this.#write(batch, end);
    this.#isWriting = true;
    this.#reopen((result) => (result === null ? this.#write(batch, end) : end(result)));
  }

  #write(batch: StateBatch, done: StorageDone): void {
    this.#isWriting = true;
    const pending = new PendingBatch(this.#sums, this.#totals);
    this.#encode(batch, 0, pending, () => {
      const meta = encodeMeta({
        owner: this.#owner,
        base: batch.base,
        totals: pending.totals,
        batch: this.#batch + 1,
        isReceived: false,
      });
      const { puts, deletes } = pending;
      this.#store.write({ puts: [...puts, [metaKey, meta]], deletes }, batch.sync, (failure) => {
        if (failure === null) this.#take(pending);
        else this.#mustReopen = true;
        done(failure);
      });
    });
  }

  /** Puts the changes from number `from` on into `pending`, deletions first, and lets others have their turn in between. */
  #encode(batch: StateBatch, from: number, pending: PendingBatch, then: () => void): void {
    const { puts, deletes } = batch;
    const to = from + recordsPerTurn;
    for (const key of deletes.slice(from, to)) pending.delete(key);
    const firstPut = Math.max(0, from - deletes.length);
    for (const [key, value] of puts.slice(firstPut, Math.max(0, to - deletes.length)))
      pending.put(key, value);
    if (to >= deletes.length + puts.length) then();
    else this.#soon(() => this.#encode(batch, to, pending, then));
  }

  /** Reads all of it back, as a restart would: the checksums say whether what LevelDB has kept is the image before the batch or after it. */
  #reopen(done: StorageDone): void {
    this.#store.close(() => {
      this.#stores.open(this.#number, (openFailure, store) => {
        if (store === null) return done(openFailure);
        this.#store = store;
        const view = store.view();
        readImage(view, (reading) => {
          view.close();
          if (reading === null || reading.kind === "damaged") return done(damagedByFullDisk(reading));
          this.#mustReopen = false;
          this.#sums = reading.kind === "image" ? reading.image.sums : new RecordSums();
          this.#totals = reading.kind === "image" ? reading.image.meta.totals : noTotals;
          this.#batch = reading.kind === "image" ? reading.image.meta.batch : 0;
          done(null);
        });
      });
    });
  }

  openImage(done: (failure: StorageFailure | null, source: ImageSource | null) => void): void {
    if (this.#mustReopen) {
      const failure = { kind: "full", message: "the disk has no room for the state image" } as const;
      return this.#soon(() => done(failure, null));
    }
    const store = this.#store;
    const isOpen = (): boolean => this.#store === store && !this.#mustReopen;
    const view = store.view();
    view.read("", 1, (failure, records) => {
      const [key, bytes] = records[0] ?? [null, null];
      const meta = key === metaKey ? decodeMeta(bytes) : null;
      if (meta !== null) return done(null, new ViewSource(view, meta, isOpen));
      view.close();
      if (failure !== null || key === null) done(failure, null);
      else
        done(
          { kind: "failed", message: "the record that says what the state image stands for is damaged" },
          null,
        );
    });
  }

  receiveImage(meta: SnapshotMeta): ImageSink {
    return new StoreSink({
      stores: this.#stores,
      place: this.#temporary,
      owner: this.#owner,
      expected: meta,
      takeOver: (number, done) => this.#takeOver(number, done),
      soon: this.#soon,
    });
  }

  close(done: StorageDone): void {
    this.#store.close(done);
  }

  #take(pending: PendingBatch): void {
    this.#totals = pending.totals;
    this.#batch += 1;
    pending.applyTo(this.#sums);
  }

  /** Goes over to a store that was received and published, and reads it back from disk as a restart would. */
  #takeOver(number: number, done: (failure: StorageFailure | null, image: StateImage | null) => void): void {
    assert(!this.#isWriting, "no batch is under way while an image takes this one's place");
    this.#stores.open(number, (openFailure, store) => {
      if (store === null) return done(openFailure, null);
      const view = store.view();
      readImage(view, (reading) => {
        view.close();
        if (reading?.kind !== "image") {
          const why = reading?.kind === "damaged" ? reading.why : "it is empty";
          return done(
            { kind: "failed", message: `the received state image cannot be read back: ${why}` },
            null,
          );
        }
        this.#replace(number, store, reading.image);
        done(null, imageOf(reading.image));
      });
    });
  }

  #replace(number: number, store: RecordStore, image: LoadedImage): void {
    const old = { number: this.#number, store: this.#store };
    this.#number = number;
    this.#store = store;
    this.#sums = image.sums;
    this.#totals = image.meta.totals;
    this.#batch = image.meta.batch;
    this.#failure = null;
    this.#mustReopen = false;
    // The new one counts from now on. What stays of the old one is removed at the next start.
    old.store.close(() => this.#stores.remove(old.number, () => {}));
  }
}

function damagedByFullDisk(reading: { readonly why: string } | null): StorageFailure {
  const why = reading?.why ?? "a newer version wrote it";
  return { kind: "failed", message: `the state image cannot be read back after the disk was full: ${why}` };
}

/** An image that is given up takes a while to go, and the next one may be offered before it is gone. */
function onePlace(numberNow: () => number): TemporaryPlace {
  let isTaken = false;
  const waiting: ((number: number) => void)[] = [];
  const next = (): void => {
    const start = isTaken ? undefined : waiting.shift();
    if (start === undefined) return;
    isTaken = true;
    start(numberNow());
  };
  return {
    acquire(start) {
      waiting.push(start);
      next();
    },
    release() {
      isTaken = false;
      next();
    },
  };
}
