/**
 * The records of an image as they were read and verified, page by page, decoded one at a time whenever somebody walks over them.
 *
 * Bytes of a page stand in one piece. A decoded image is many times as large as its bytes, and whoever builds a state from it needs one
 * record at a time: decoded all at once, they would outlive the garbage collector's young generation and make the process several times
 * as large as its state.
 */

import type { StateRecord } from "../../replica/ports.ts";
import { packedFields } from "../packed.ts";
import { decodeValue, valueHeaderBytes } from "./record-codec.ts";
import type { StoredRecord } from "./record-store.ts";

interface Page {
  readonly keys: readonly string[];
  readonly bytes: Buffer;
  /** Where each record's bytes end. */
  readonly ends: Uint32Array;
}

export class RecordPages implements Iterable<StateRecord> {
  readonly #pages: Page[] = [];

  /** Adds verified records; shares no memory with them. */
  add(records: readonly StoredRecord[]): void {
    const bytes = Buffer.allocUnsafeSlow(records.reduce((sum, [, value]) => sum + value.length, 0));
    const ends = new Uint32Array(records.length);
    let end = 0;
    records.forEach(([, value], i) => {
      bytes.set(value, end);
      end += value.length;
      ends[i] = end;
    });
    this.#pages.push({ keys: records.map(([key]) => key), bytes, ends });
  }

  [Symbol.iterator](): Iterator<StateRecord> {
    return this.#walk((bytes, start, end) => decodeValue(bytes.subarray(start, end)));
  }

  /** The same records, each value as fields that are read from its bytes. */
  packed(): Iterable<StateRecord> {
    return this.#walk((bytes, start, end, key) => packedFields(bytes, key, start + valueHeaderBytes, end));
  }

  *#walk(
    valueOf: (bytes: Buffer, start: number, end: number, key: string) => unknown,
  ): Generator<StateRecord> {
    for (const { keys, bytes, ends } of this.#pages) {
      let start = 0;
      for (let i = 0; i < keys.length; i += 1) {
        const [key, end] = [keys[i] ?? "", ends[i] ?? start];
        yield [key, valueOf(bytes, start, end, key)];
        start = end;
      }
    }
  }
}
