/**
 * The stores on disk: each a LevelDB of its own in `state.<n>/`. A thin shell that turns promises into callbacks and LevelDB's errors
 * into ours.
 */

import * as fs from "node:fs/promises";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Level } from "level";
import { makeDurableFolder, syncPath } from "../durable-path.ts";
import type { StorageDone, StorageFailure } from "../../replica/ports.ts";
import type {
  OpenDone,
  RecordBatch,
  RecordStore,
  RecordStores,
  RecordView,
  StoredRecord,
} from "./record-store.ts";

type Database = Level<string, Uint8Array>;

/** How many records LevelDB hands over at once, at most. */
const iteratorBatch = 1000;

/** For blocks of tables that are read again. The image is read once, from one end to the other. */
const cacheBytes = 256 * 1024;

/** A batch of up to so many operations is handed over in one turn. */
const operationsAtOnce = 10_000;

/** Of a larger one, so many. */
const operationsPerTurn = 2_000;

export class LevelStores implements RecordStores {
  readonly #root: string;

  /** `root`: the data folder. */
  constructor(root: string) {
    this.#root = root;
  }

  list(): readonly number[] {
    return readdirSync(this.#root)
      .map((name) => /^state\.(\d{1,9})$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .toSorted((a, b) => a - b);
  }

  open(number: number, done: OpenDone): void {
    this.#open(this.#folder(number), done);
  }

  openTemporary(number: number, done: OpenDone): void {
    const folder = this.#temporary(number);
    fs.rm(folder, { recursive: true, force: true }).then(
      () => this.#open(folder, done),
      (error: unknown) => done(failureOf("removing a half-received state image", error), null),
    );
  }

  publish(number: number, done: StorageDone): void {
    finish("publishing a state image", this.#publish(number), done);
  }

  remove(number: number, done: StorageDone): void {
    const options = { recursive: true, force: true };
    const removed = Promise.all(
      [this.#folder(number), this.#temporary(number)].map((folder) => fs.rm(folder, options)),
    );
    finish("removing a state image", removed, done);
  }

  #open(folder: string, done: OpenDone): void {
    openDatabase(folder).then(
      (database) => done(null, new LevelStore(folder, database)),
      (error: unknown) => done(failureOf("opening the state image", error), null),
    );
  }

  /** LevelDB syncs what it must, but not when: everything is synced once more before the name counts. */
  async #publish(number: number): Promise<void> {
    const temporary = this.#temporary(number);
    for (const name of await fs.readdir(temporary)) await syncPath(join(temporary, name));
    await syncPath(temporary);
    await fs.rename(temporary, this.#folder(number));
    await syncPath(this.#root);
  }

  #folder(number: number): string {
    return join(this.#root, `state.${number}`);
  }

  #temporary(number: number): string {
    return `${this.#folder(number)}.tmp`;
  }
}

class LevelStore implements RecordStore {
  readonly #folder: string;
  readonly #database: Database;
  /** Whose name is durable. */
  #newestLog = "";

  constructor(folder: string, database: Database) {
    this.#folder = folder;
    this.#database = database;
  }

  write({ puts, deletes }: RecordBatch, sync: boolean, done: StorageDone): void {
    finish("writing the state image", this.#write(puts, deletes, sync), done);
  }

  view(): RecordView {
    return new LevelView(this.#database);
  }

  close(done: StorageDone): void {
    finish("closing the state image", this.#database.close(), done);
  }

  async #write(puts: readonly StoredRecord[], deletes: readonly string[], sync: boolean): Promise<void> {
    if (puts.length + deletes.length > operationsAtOnce) await this.#writeLarge(puts, deletes, sync);
    else {
      const operations = [
        ...deletes.map((key) => ({ type: "del" as const, key })),
        ...puts.map(([key, value]) => ({ type: "put" as const, key, value })),
      ];
      await this.#database.batch(operations, { sync });
    }
    if (sync) await this.#syncLogs();
  }

  /**
   * In parts with others' turns in between, and still one atomic batch. Not for every batch: LevelDB's copy of one that is built like this
   * is let go by the garbage collector, which knows nothing of its size.
   */
  async #writeLarge(puts: readonly StoredRecord[], deletes: readonly string[], sync: boolean): Promise<void> {
    const batch = this.#database.batch();
    for (let i = 0; i < deletes.length; i += operationsPerTurn) {
      for (const key of deletes.slice(i, i + operationsPerTurn)) batch.del(key);
      await setImmediate();
    }
    for (let i = 0; i < puts.length; i += operationsPerTurn) {
      for (const [key, value] of puts.slice(i, i + operationsPerTurn)) batch.put(key, value);
      await setImmediate();
    }
    await batch.write({ sync });
  }

  /**
   * LevelDB syncs the file that the batch went to, and not its name. When its buffer has just been switched, unsynced batches before it are
   * in the previous file, which it drops only once they are in a table: until then they have to be synced too.
   */
  async #syncLogs(): Promise<void> {
    const logs = (await fs.readdir(this.#folder)).filter((name) => name.endsWith(".log")).toSorted();
    if (logs.length > 1) for (const name of logs) await syncIfThere(join(this.#folder, name));
    const newest = logs.at(-1) ?? "";
    if (newest === this.#newestLog) return;
    await syncPath(this.#folder);
    this.#newestLog = newest;
  }
}

class LevelView implements RecordView {
  readonly #database: Database;
  readonly #snapshot: ReturnType<Database["snapshot"]>;

  constructor(database: Database) {
    this.#database = database;
    this.#snapshot = database.snapshot();
  }

  read(after: string, bytesMax: number, done: Parameters<RecordView["read"]>[2]): void {
    this.#read(after, bytesMax).then(
      (records) => done(null, records),
      (error: unknown) => done(failureOf("reading the state image", error), []),
    );
  }

  close(): void {
    // A view that is closed while LevelDB closes has been closed by it.
    this.#snapshot.close().catch(() => {});
  }

  async #read(after: string, bytesMax: number): Promise<readonly StoredRecord[]> {
    const records: StoredRecord[] = [];
    let bytes = 0;
    const iterator = this.#database.iterator({
      gt: after,
      snapshot: this.#snapshot,
      highWaterMarkBytes: bytesMax,
    });
    try {
      while (bytes < bytesMax) {
        const batch = await iterator.nextv(iteratorBatch);
        if (batch.length === 0) break;
        for (const record of batch) {
          // What LevelDB hands over beyond the bound is read again with the next chunk.
          if (bytes >= bytesMax) break;
          records.push(record);
          bytes += record[0].length + record[1].length;
        }
      }
    } finally {
      await iterator.close();
    }
    return records;
  }
}

async function openDatabase(folder: string): Promise<Database> {
  await makeDurableFolder(folder);
  const options = { keyEncoding: "utf8", valueEncoding: "view", cacheSize: cacheBytes } as const;
  const database: Database = new Level(folder, options);
  await database.open();
  return database;
}

/** LevelDB may remove the file at any moment, and then needs it no more. */
async function syncIfThere(path: string): Promise<void> {
  try {
    await syncPath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function finish(attempt: string, work: Promise<unknown>, done: StorageDone): void {
  work.then(
    () => done(null),
    (error: unknown) => done(failureOf(attempt, error)),
  );
}

/** LevelDB names the system's error only in words, and puts the reason below "could not be opened". */
function failureOf(attempt: string, error: unknown): StorageFailure {
  const causes: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) causes.push(cause.message);
  const message = `${attempt} failed: ${causes.join(": ")}`;
  const isFull = /No space left|quota exceeded/i.test(message);
  return { kind: isFull ? "full" : "failed", message };
}
