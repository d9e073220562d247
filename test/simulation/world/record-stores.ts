/**
 * What LevelDB is to the state image: numbered stores that keep batches whole and in order, and lose the newest of them with the power
 * unless they were synced.
 */

import type { StorageDone, StorageFailure } from "../../../src/replica/ports.ts";
import type {
  OpenDone,
  RecordBatch,
  RecordStore,
  RecordStores,
  RecordView,
  StoredRecord,
} from "../../../src/storage/state/record-store.ts";
import type { Random } from "../random.ts";
import type { DiskTiming } from "./disk.ts";
import type { Lane, LaneFault } from "./lane.ts";
import type { SimProcess } from "./process.ts";

class Table {
  records = new Map<string, Uint8Array>();
  /** What the records were before each batch that a power loss may take back, oldest first. */
  #undo: (readonly (readonly [key: string, before: Uint8Array | undefined])[])[] = [];

  write({ puts, deletes }: RecordBatch): void {
    const undo: [string, Uint8Array | undefined][] = [];
    for (const key of deletes) {
      undo.push([key, this.records.get(key)]);
      this.records.delete(key);
    }
    for (const [key, value] of puts) {
      undo.push([key, this.records.get(key)]);
      this.records.set(key, value);
    }
    this.#undo.push(undo);
  }

  sync(): void {
    this.#undo = [];
  }

  losePower(random: Random): void {
    const lost = random.below(this.#undo.length + 1);
    for (let i = 0; i < lost; i += 1) {
      for (const [key, before] of this.#undo.pop()!.toReversed()) {
        if (before === undefined) this.records.delete(key);
        else this.records.set(key, before);
      }
    }
    this.#undo = [];
  }
}

export class SimRecordStores {
  readonly #published = new Map<number, Table>();
  readonly #temporary = new Map<number, Table>();
  readonly #lane: Lane;
  readonly #timing: DiskTiming;

  constructor(lane: Lane, timing: DiskTiming) {
    this.#lane = lane;
    this.#timing = timing;
  }

  losePower(random: Random): void {
    for (const table of this.#published.values()) table.losePower(random);
  }

  /** All images are gone, as after rot that the checksums notice. */
  rot(random: Random): void {
    for (const { records } of this.#published.values()) {
      const key = random.pick([...records.keys(), ""]);
      const value = records.get(key);
      if (value === undefined) continue;
      const damaged = Uint8Array.from(value);
      damaged[random.below(damaged.length)]! ^= 1 << random.below(8);
      records.set(key, damaged);
    }
  }

  openFor(process: SimProcess): RecordStores {
    const run = (name: string, isSync: boolean, complete: (failure: StorageFailure | null) => void): void =>
      this.#lane.ask(process, {
        name: `image ${name}`,
        meanMs: isSync ? this.#timing.syncMs : this.#timing.writeMs,
        needsRoom: name === "write",
        complete: (fault) => complete(asFailure(fault)),
      });
    const open = (tables: Map<number, Table>, number: number, done: OpenDone): void =>
      run("open", false, (failure) => {
        if (failure !== null) return done(failure, null);
        const table = tables.get(number) ?? new Table();
        tables.set(number, table);
        done(null, storeOf(table, run));
      });
    return {
      list: () => [...this.#published.keys()].sort((a, b) => a - b),
      open: (number, done) => open(this.#published, number, done),
      openTemporary: (number, done) => {
        this.#temporary.delete(number);
        open(this.#temporary, number, done);
      },
      publish: (number, done) =>
        run("publish", true, (failure) => {
          const table = this.#temporary.get(number);
          if (failure !== null || table === undefined) return done(failure);
          this.#temporary.delete(number);
          table.sync();
          this.#published.set(number, table);
          done(null);
        }),
      remove: (number, done) =>
        run("remove", false, (failure) => {
          if (failure !== null) return done(failure);
          this.#published.delete(number);
          this.#temporary.delete(number);
          done(null);
        }),
    };
  }
}

type Run = (name: string, isSync: boolean, complete: (failure: StorageFailure | null) => void) => void;

function storeOf(table: Table, run: Run): RecordStore {
  return {
    write: (batch: RecordBatch, sync: boolean, done: StorageDone) =>
      run("write", sync, (failure) => {
        if (failure === null) {
          table.write(batch);
          if (sync) table.sync();
        }
        done(failure);
      }),
    view: () => viewOf(table, run),
    close: (done) => run("close", false, () => done(null)),
  };
}

function viewOf(table: Table, run: Run): RecordView {
  const keys = [...table.records.keys()].sort();
  const records = keys.map((key): StoredRecord => [key, table.records.get(key)!]);
  return {
    read: (after, bytesMax, done) =>
      run("read", false, (failure) => {
        if (failure !== null) return done(failure, []);
        const start = records.findIndex(([key]) => key > after);
        if (start < 0) return done(null, []);
        let end = start;
        for (let bytes = 0; end < records.length && bytes < bytesMax; end += 1)
          bytes += records[end]![1].length;
        done(null, records.slice(start, end));
      }),
    close: () => {},
  };
}

function asFailure(fault: LaneFault | null): StorageFailure | null {
  if (fault === null) return null;
  return { kind: fault.code === "ENOSPC" ? "full" : "failed", message: fault.message };
}
