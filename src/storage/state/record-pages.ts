/**
 * The records of an image as they were read and verified, page by page, decoded one at a time whenever somebody walks over them.
 *
 * Bytes of a page stand in one piece. A decoded image is many times as large as its bytes, and whoever builds a state from it needs one
 * record at a time: decoded all at once, they would outlive the garbage collector's young generation and make the process several times
 * as large as its state.
 */

import type { StateRecord } from "../../replica/ports.ts";
import { decodeValue } from "./record-codec.ts";
import type { StoredRecord } from "./record-store.ts";

interface Page {
  readonly keys: readonly string[];
  readonly bytes: Uint8Array;
  /** Where each record's bytes end. */
  readonly ends: Uint32Array;
}

export class RecordPages implements Iterable<StateRecord> {
  readonly #pages: Page[] = [];

  /** Adds verified records; shares no memory with them. */
  add(records: readonly StoredRecord[]): void {
    const bytes = new Uint8Array(records.reduce((sum, [, value]) => sum + value.length, 0));
    const ends = new Uint32Array(records.length);
    let end = 0;
    records.forEach(([, value], i) => {
      bytes.set(value, end);
      end += value.length;
      ends[i] = end;
    });
    this.#pages.push({ keys: records.map(([key]) => key), bytes, ends });
  }

  *[Symbol.iterator](): Generator<StateRecord> {
    for (const { keys, bytes, ends } of this.#pages) {
      let from = 0;
      for (const [i, key] of keys.entries()) {
        const end = ends[i] ?? from;
        yield [key, decodeValue(bytes.subarray(from, end))];
        from = end;
      }
    }
  }
}
