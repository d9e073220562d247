/** One batch on its way to the store: its records as they will stand there, and what it makes of the totals and of each checksum. */

import { assert } from "../../raft/assert.ts";
import { metaKey } from "./image-meta.ts";
import { encodeRecord, minus, plus, type Totals } from "./record-codec.ts";
import type { StoredRecord } from "./record-store.ts";
import type { RecordSums } from "./record-sums.ts";

export class PendingBatch {
  readonly puts: StoredRecord[] = [];
  readonly deletes: string[] = [];
  readonly #before: RecordSums;
  /** The new checksum of each record; null: it is gone. */
  readonly #sums = new Map<string, number | null>();
  #totals: Totals;

  /** `before` and `totals`: of the image as it is; neither changes until `applyTo`. */
  constructor(before: RecordSums, totals: Totals) {
    this.#before = before;
    this.#totals = totals;
  }

  /** Of the image with the batch in it. */
  get totals(): Totals {
    return this.#totals;
  }

  put(key: string, value: unknown): void {
    assert(key > metaKey && !key.startsWith("!"), `a record's key begins with a letter: ${key}`);
    const { bytes, sum } = encodeRecord(key, value);
    this.puts.push([key, bytes]);
    this.#change(key, sum | 0);
  }

  delete(key: string): void {
    this.deletes.push(key);
    this.#change(key, null);
  }

  /** The batch is in the store. */
  applyTo(sums: RecordSums): void {
    for (const [key, sum] of this.#sums) {
      if (sum === null) sums.delete(key);
      else sums.set(key, sum);
    }
  }

  #change(key: string, sum: number | null): void {
    assert(!this.#sums.has(key), `a batch has one change for each key: ${key}`);
    this.#sums.set(key, sum);
    const old = this.#before.get(key);
    if (old !== null) this.#totals = minus(this.#totals, old);
    if (sum !== null) this.#totals = plus(this.#totals, sum);
  }
}
