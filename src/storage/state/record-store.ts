/**
 * What the state image needs of a key-value store, and of the place where such stores stand side by side. LevelDB implements it on disk,
 * the simulator in memory.
 *
 * A store is not trusted to give back what was put in: everything in it carries checksums that are not the store's.
 * Each operation ends with exactly one callback, never within the call itself.
 */

import type { StorageDone, StorageFailure } from "../../replica/ports.ts";

export type StoredRecord = readonly [key: string, value: Uint8Array];

export interface RecordBatch {
  readonly puts: readonly StoredRecord[];
  readonly deletes: readonly string[];
}

export type ReadRecordsDone = (failure: StorageFailure | null, records: readonly StoredRecord[]) => void;

/** A view that later writes do not change. */
export interface RecordView {
  /** The records whose keys follow `after` in the order of their UTF-8 bytes, about `bytesMax` of them; none at the end. */
  read(after: string, bytesMax: number, done: ReadRecordsDone): void;
  close(): void;
}

export interface RecordStore {
  /** All of it or nothing. With `sync` this and everything written before survives a power loss. */
  write(batch: RecordBatch, sync: boolean, done: StorageDone): void;
  view(): RecordView;
  close(done: StorageDone): void;
}

/** Numbered stores, side by side: the one with the highest number is the present one. */
export interface RecordStores {
  /** The numbers of those that are there, in order. */
  list(): readonly number[];
  /** Opens a store, and creates it when it is missing. `failed` when it cannot be read at all. */
  open(number: number, done: OpenDone): void;
  /** An empty store that does not count until it is published. */
  openTemporary(number: number, done: OpenDone): void;
  /** Gives a temporary store its number, once every byte of it is durable. It must be closed. */
  publish(number: number, done: StorageDone): void;
  /** Removes a store and the temporary one of the same number, whatever of both is there. */
  remove(number: number, done: StorageDone): void;
}

export type OpenDone = (failure: StorageFailure | null, store: RecordStore | null) => void;
