/** Reads a whole image and verifies it: every record by its checksum, and all together by their number and sum. */

import type { StateImage, StorageFailure } from "../../replica/ports.ts";
import { emptyBase } from "../log-base.ts";
import { decodeMeta, type ImageMeta, metaKey } from "./image-meta.ts";
import { noTotals, plus, type Totals, verifiedSum } from "./record-codec.ts";
import { RecordPages } from "./record-pages.ts";
import { RecordSums } from "./record-sums.ts";
import type { ReadRecordsDone, RecordView, StoredRecord } from "./record-store.ts";

const readBytes = 1024 * 1024;

export interface LoadedImage {
  readonly meta: ImageMeta;
  readonly records: RecordPages;
  /** The checksum of each record. */
  readonly sums: RecordSums;
}

/** What was found: an image, nothing at all, or something that is not to be trusted, and why. */
export type ImageReading =
  | { readonly kind: "image"; readonly image: LoadedImage }
  | { readonly kind: "empty" }
  | { readonly kind: "damaged"; readonly why: string };

/** Throws (in the callback's turn) nothing: `refused` carries a StorageRefusal where one is due. */
export type ReadImageDone = (reading: ImageReading | null, refusal: unknown) => void;

/** Reads everything in the view, and leaves it open. Each page is read while the one before it is verified. */
export function readImage(view: RecordView, done: ReadImageDone): void {
  const reader = new Reader();
  let end: (() => void) | null = null;
  const take: ReadRecordsDone = (failure, records) => {
    if (end !== null) return end();
    const last = failure === null ? records.at(-1) : undefined;
    if (last !== undefined) view.read(last[0], readBytes, take);
    end = endOf(reader, failure, records, done);
    // Otherwise when nothing is being read any more.
    if (last === undefined) end?.();
  };
  view.read("", readBytes, take);
}

/** Null to go on. */
function endOf(
  reader: Reader,
  failure: StorageFailure | null,
  records: readonly StoredRecord[],
  done: ReadImageDone,
): (() => void) | null {
  try {
    const reading = reader.take(failure, records);
    return reading === null ? null : () => done(reading, null);
  } catch (error) {
    return () => done(null, error);
  }
}

class Reader {
  #meta: ImageMeta | null = null;
  readonly #records = new RecordPages();
  readonly #sums = new RecordSums();
  #totals: Totals = noTotals;

  /** What there is once the end, or damage, was met; null to go on. */
  take(failure: StorageFailure | null, records: readonly StoredRecord[]): ImageReading | null {
    if (failure !== null) return { kind: "damaged", why: failure.message };
    if (records.length === 0) return this.#end();
    const [first] = records;
    const isFirstPage = this.#meta === null;
    if (isFirstPage && first !== undefined) {
      this.#meta = first[0] === metaKey ? decodeMeta(first[1]) : null;
      this.#sums.reserve(this.#meta?.totals.count ?? 0);
      if (this.#meta === null)
        return { kind: "damaged", why: "the record that says what the image stands for is damaged" };
    }
    return this.#takePage(isFirstPage ? records.slice(1) : records);
  }

  #takePage(records: readonly StoredRecord[]): ImageReading | null {
    for (const record of records) {
      const [key] = record;
      const sum = verifiedSum(record);
      if (sum === null) return { kind: "damaged", why: `the record ${key} is damaged` };
      this.#totals = plus(this.#totals, sum);
      this.#sums.set(key, sum | 0);
    }
    this.#records.add(records);
    return null;
  }

  #end(): ImageReading {
    if (this.#meta === null) return { kind: "empty" };
    const { totals } = this.#meta;
    if (totals.count !== this.#totals.count || totals.sum !== this.#totals.sum) {
      const why = `it holds ${this.#totals.count} records with the sum ${this.#totals.sum}, and says that it should hold ${totals.count} with the sum ${totals.sum}`;
      return { kind: "damaged", why };
    }
    return { kind: "image", image: { meta: this.#meta, records: this.#records, sums: this.#sums } };
  }
}

/** As whoever starts from it sees it; null: an image of nothing. */
export function imageOf(loaded: LoadedImage | null): StateImage {
  if (loaded === null) return { base: emptyBase, records: [], packedRecords: [] };
  const { meta, records } = loaded;
  return { base: meta.base, records, packedRecords: records.packed() };
}
