/** LevelDB's part, in memory: stores that lose their unsynced batches with the power. Shares the order of operations with a MemoryDisk. */

import type { StorageFailure } from "../../src/replica/ports.ts";
import type {
  OpenDone,
  RecordBatch,
  RecordStore,
  RecordStores,
  RecordView,
  StoredRecord,
} from "../../src/storage/state/record-store.ts";
import type { DiskError } from "../../src/storage/disk.ts";
import type { MemoryDisk } from "./memory-disk.ts";

type Records = Map<string, Uint8Array>;

interface Contents {
  synced: Records;
  current: Records;
  unsynced: RecordBatch[];
}

export class MemoryStores implements RecordStores {
  readonly #disk: MemoryDisk;
  readonly #stores = new Map<string, Contents>();

  constructor(disk: MemoryDisk, stores: ReadonlyMap<string, Records> = new Map()) {
    this.#disk = disk;
    for (const [name, records] of stores)
      this.#stores.set(name, { synced: records, current: new Map(records), unsynced: [] });
  }

  /** What a store holds, to be looked at or damaged. */
  contents(number: number): Records {
    const contents = this.#stores.get(`state.${number}`);
    if (contents === undefined) throw new Error(`there is no store ${number}`);
    return contents.current;
  }

  kill(disk: MemoryDisk): MemoryStores {
    const stores = new MemoryStores(disk);
    for (const [name, contents] of this.#stores) {
      const { synced, current, unsynced } = contents;
      stores.#stores.set(name, { synced, current: new Map(current), unsynced: [...unsynced] });
    }
    return stores;
  }

  crash(disk: MemoryDisk, random: () => number): MemoryStores {
    const surviving = [...this.#stores].map(([name, contents]) => {
      const records = new Map(contents.synced);
      const kept = Math.floor(random() * (contents.unsynced.length + 1));
      for (const batch of contents.unsynced.slice(0, kept)) apply(records, batch);
      return [name, records] as const;
    });
    return new MemoryStores(disk, new Map(surviving));
  }

  list(): readonly number[] {
    return [...this.#stores.keys()]
      .map((name) => /^state\.(\d+)$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .toSorted((a, b) => a - b);
  }

  open(number: number, done: OpenDone): void {
    this.#open(`state.${number}`, done);
  }

  openTemporary(number: number, done: OpenDone): void {
    const name = `state.${number}.tmp`;
    this.#disk.enqueue({ kind: "store", path: name }, () => {
      this.#stores.delete(name);
      this.#open(name, done);
    });
  }

  publish(number: number, done: (failure: StorageFailure | null) => void): void {
    const name = `state.${number}`;
    this.#disk.enqueue({ kind: "store", path: name }, (error) => {
      const contents = this.#stores.get(`${name}.tmp`);
      if (error !== null || contents === undefined)
        return done(failureOf(error) ?? { kind: "failed", message: "no such store" });
      this.#stores.delete(`${name}.tmp`);
      this.#stores.set(name, { synced: contents.current, current: new Map(contents.current), unsynced: [] });
      done(null);
    });
  }

  remove(number: number, done: (failure: StorageFailure | null) => void): void {
    const name = `state.${number}`;
    this.#disk.enqueue({ kind: "store", path: name }, (error) => {
      if (error === null) {
        this.#stores.delete(name);
        this.#stores.delete(`${name}.tmp`);
      }
      done(failureOf(error));
    });
  }

  #open(name: string, done: OpenDone): void {
    this.#disk.enqueue({ kind: "store", path: name }, (error) => {
      if (error !== null) return done(failureOf(error), null);
      const contents = this.#stores.get(name) ?? { synced: new Map(), current: new Map(), unsynced: [] };
      // LevelDB writes what it finds in its log into a table, and syncs that, before it has opened.
      contents.synced = new Map(contents.current);
      contents.unsynced = [];
      this.#stores.set(name, contents);
      done(null, new MemoryStore(this.#disk, name, contents));
    });
  }
}

class MemoryStore implements RecordStore {
  readonly #disk: MemoryDisk;
  readonly #name: string;
  readonly #contents: Contents;

  constructor(disk: MemoryDisk, name: string, contents: Contents) {
    this.#disk = disk;
    this.#name = name;
    this.#contents = contents;
  }

  write(batch: RecordBatch, sync: boolean, done: (failure: StorageFailure | null) => void): void {
    this.#disk.enqueue({ kind: "store", path: this.#name }, (error) => {
      if (error !== null) return done(failureOf(error));
      const contents = this.#contents;
      apply(contents.current, batch);
      contents.unsynced.push(batch);
      if (sync && !this.#disk.ignoresSyncs) {
        contents.synced = new Map(contents.current);
        contents.unsynced = [];
      }
      done(null);
    });
  }

  view(): RecordView {
    const records = [...this.#contents.current].toSorted(([a], [b]) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    return {
      read: (after, bytesMax, done) =>
        this.#disk.enqueue({ kind: "store", path: this.#name }, (error) =>
          done(failureOf(error), readAfter(records, after, bytesMax)),
        ),
      close: () => {},
    };
  }

  close(done: (failure: StorageFailure | null) => void): void {
    this.#disk.enqueue({ kind: "store", path: this.#name }, () => done(null));
  }
}

/** `after` is a key that is there, or before all others. */
function readAfter(
  records: readonly StoredRecord[],
  after: string,
  bytesMax: number,
): readonly StoredRecord[] {
  const read: StoredRecord[] = [];
  let bytes = 0;
  const from = records.findIndex(([key]) => key === after) + 1;
  for (let i = from; i < records.length && bytes < bytesMax; i += 1) {
    const record = records[i];
    if (record === undefined) break;
    read.push(record);
    bytes += record[0].length + record[1].length;
  }
  return read;
}

function apply(records: Records, { puts, deletes }: RecordBatch): void {
  for (const key of deletes) records.delete(key);
  for (const [key, value] of puts) records.set(key, value);
}

function failureOf(error: DiskError | null): StorageFailure | null {
  if (error === null) return null;
  return { kind: error.code === "ENOSPC" ? "full" : "failed", message: error.message };
}
