/** Finds the newest state image in a data folder that can be trusted, and starts an empty one where there is none. */

import type { StorageDone, StorageFailure } from "../../replica/ports.ts";
import { type LoadedImage, readImage } from "./image-reader.ts";
import type { RecordStore, RecordStores } from "./record-store.ts";

export interface OpenImage {
  readonly number: number;
  readonly store: RecordStore;
  readonly image: LoadedImage;
}

export interface ImageSearch {
  /** The newest whole image, open; null when there is none. */
  readonly found: OpenImage | null;
  /** Why newer ones than that cannot be used. */
  readonly damage: readonly string[];
}

/** Tries the stores from the newest to the oldest. An `error` is a StorageRefusal. */
export function findImage(
  stores: RecordStores,
  done: (error: unknown, search: ImageSearch | null) => void,
): void {
  const numbers = stores.list().toReversed();
  const damage: string[] = [];
  const tryNext = (i: number): void => {
    const number = numbers[i];
    if (number === undefined) return done(null, { found: null, damage });
    openOne(stores, number, (error, open, why) => {
      if (error !== null) return done(error, null);
      if (open !== null) return done(null, { found: open, damage });
      if (why !== null) damage.push(`state.${number}: ${why}`);
      tryNext(i + 1);
    });
  };
  tryNext(0);
}

/** Opens a new, empty store with a number above all others. */
export function startEmpty(
  stores: RecordStores,
  done: (failure: StorageFailure | null, open: Omit<OpenImage, "image"> | null) => void,
): void {
  const number = (stores.list().at(-1) ?? 0) + 1;
  stores.open(number, (failure, store) => done(failure, store === null ? null : { number, store }));
}

/** Removes all stores but one, and what was half received beside it. */
export function removeOthers(stores: RecordStores, kept: number, done: StorageDone): void {
  const others = [...stores.list().filter((number) => number !== kept), kept + 1];
  const next = (i: number): void => {
    const number = others[i];
    if (number === undefined) return done(null);
    stores.remove(number, (failure) => (failure === null ? next(i + 1) : done(failure)));
  };
  next(0);
}

function openOne(
  stores: RecordStores,
  number: number,
  done: (error: unknown, open: OpenImage | null, why: string | null) => void,
): void {
  stores.open(number, (failure, store) => {
    if (store === null) return done(null, null, failure?.message ?? "it cannot be opened");
    const view = store.view();
    readImage(view, (reading, refusal) => {
      view.close();
      if (reading?.kind === "image") return done(null, { number, store, image: reading.image }, null);
      store.close(() => done(refusal, null, reading?.kind === "damaged" ? reading.why : null));
    });
  });
}
