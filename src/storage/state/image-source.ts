/**
 * A consistent view of the durable image, cut into chunks as they are asked for.
 *
 * Where each chunk begins is remembered when it is first read, so a chunk that is asked for again is the same.
 */

import { assert, must } from "../../raft/assert.ts";
import type { ImageSource, LogBase, StorageFailure } from "../../replica/ports.ts";
import { encodeChunk } from "./image-chunks.ts";
import { type ImageMeta, metaKey } from "./image-meta.ts";
import { verifiedSum } from "./record-codec.ts";
import type { RecordView, StoredRecord } from "./record-store.ts";

export const chunkBytes = 256 * 1024;

const closedMeanwhile = { kind: "full", message: "the state image was closed meanwhile; try again" } as const;

type ReadDone = (failure: StorageFailure | null, chunk: Uint8Array | null) => void;

export class ViewSource implements ImageSource {
  readonly base: LogBase;
  readonly #view: RecordView;
  readonly #meta: ImageMeta;
  readonly #isOpen: () => boolean;
  /** The key before the first one of each chunk known so far. */
  readonly #keysBefore: string[] = [metaKey];
  /** How many chunks there are, once the end was met. */
  #chunks: number | null = null;

  /** `isOpen`: false once the image has been closed, or another one took its place. Whatever a read says then is no news of the disk. */
  constructor(view: RecordView, meta: ImageMeta, isOpen: () => boolean) {
    this.#view = view;
    this.#meta = meta;
    this.#isOpen = isOpen;
    this.base = meta.base;
  }

  read(position: number, done: ReadDone): void {
    const known = this.#keysBefore.length - 1;
    if (position <= known || this.#chunks !== null) return this.#readChunk(position, done);
    // Asked for a later one first, by a receiver that resumes: find the beginnings in between.
    this.#readChunk(known, (failure) => {
      if (failure !== null) done(failure, null);
      else this.read(position, done);
    });
  }

  close(): void {
    this.#view.close();
  }

  #readChunk(position: number, done: ReadDone): void {
    const isAfterEnd = this.#chunks !== null && position >= this.#chunks;
    // Even the answer "there is none" comes from the view, so that it is never given within the call.
    const after = isAfterEnd ? lastOf(this.#keysBefore) : must(this.#keysBefore[position], "a known chunk");
    this.#view.read(after, chunkBytes, (failure, records) => {
      if (failure !== null) return done(this.#isOpen() ? failure : closedMeanwhile, null);
      if (isAfterEnd) return done(null, null);
      const damaged = records.find((record) => verifiedSum(record) === null);
      if (damaged !== undefined)
        return done({ kind: "failed", message: `the state image's record ${damaged[0]} is damaged` }, null);
      done(null, this.#encode(position, records));
    });
  }

  #encode(position: number, records: readonly StoredRecord[]): Uint8Array {
    const last = records.at(-1);
    // The chunk without records is the last one, and carries the totals.
    if (last === undefined) this.#chunks = position + 1;
    else if (position + 1 === this.#keysBefore.length) this.#keysBefore.push(last[0]);
    assert(last === undefined || this.#keysBefore[position + 1] === last[0], "a view never changes");
    const totals = last === undefined ? this.#meta.totals : null;
    return encodeChunk({ position, base: this.base, records, totals });
  }
}

function lastOf(keys: readonly string[]): string {
  return must(keys.at(-1), "there is always a first chunk");
}
