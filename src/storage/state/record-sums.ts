/**
 * The checksum of each record by its key: what the running sum loses when the record changes.
 *
 * There are as many as records, so that they stand in flat arrays under 64 bits of the key's hash, in place of a map under the keys: 12
 * bytes a place. Two keys with the same 64 bits (one chance in millions with ten million records) would end in an image whose sum does
 * not agree, which is made again like any other damaged one.
 */

import { fingerprint } from "../../registry/hash.ts";

const placesMin = 1024;
const free = 0;
const taken = 1;
/** A record that is gone: a search goes on over it. */
const left = 2;

export class RecordSums {
  #places = placesMin;
  #low = new Int32Array(placesMin);
  #high = new Int32Array(placesMin);
  #sums = new Int32Array(placesMin);
  #states = new Uint8Array(placesMin);
  #count = 0;
  /** Places that are not free. */
  #used = 0;

  get count(): number {
    return this.#count;
  }

  /** As a signed 32-bit integer; null for a key without a record. */
  get(key: string): number | null {
    const { low, high } = fingerprint(key, null);
    const place = this.#find(low, high);
    return this.#states[place] === taken ? (this.#sums[place] ?? 0) : null;
  }

  set(key: string, sum: number): void {
    // At most three quarters full, so that a search ends soon.
    if (this.#used * 4 >= this.#places * 3) this.#rebuild();
    const { low, high } = fingerprint(key, null);
    this.#put(low, high, sum);
  }

  delete(key: string): void {
    const { low, high } = fingerprint(key, null);
    const place = this.#find(low, high);
    if (this.#states[place] !== taken) return;
    this.#states[place] = left;
    this.#count -= 1;
  }

  /** Where the key stands, or the free place where it would. */
  #find(low: number, high: number): number {
    let place = low & (this.#places - 1);
    while (this.#states[place] !== free && !this.#isAt(place, low, high))
      place = (place + 1) & (this.#places - 1);
    return place;
  }

  #isAt(place: number, low: number, high: number): boolean {
    return this.#states[place] === taken && this.#low[place] === low && this.#high[place] === high;
  }

  #put(low: number, high: number, sum: number): void {
    const place = this.#find(low, high);
    if (this.#states[place] === free) {
      this.#used += 1;
      this.#count += 1;
    }
    this.#states[place] = taken;
    this.#low[place] = low;
    this.#high[place] = high;
    this.#sums[place] = sum;
  }

  /** Larger where it has to be, and without the places that were left. */
  #rebuild(): void {
    const { places, low, high, sums, states } = {
      places: this.#places,
      low: this.#low,
      high: this.#high,
      sums: this.#sums,
      states: this.#states,
    };
    this.#places = this.#count * 2 >= places ? places * 2 : places;
    this.#low = new Int32Array(this.#places);
    this.#high = new Int32Array(this.#places);
    this.#sums = new Int32Array(this.#places);
    this.#states = new Uint8Array(this.#places);
    this.#count = 0;
    this.#used = 0;
    for (let place = 0; place < places; place += 1) {
      if (states[place] === taken) this.#put(low[place] ?? 0, high[place] ?? 0, sums[place] ?? 0);
    }
  }
}
