/**
 * The checksum of each record by its key: what the running sum loses when the record changes.
 *
 * There are as many as records, so that they stand in flat arrays under 64 bits of the key's hash, in place of a map under the keys: 12
 * bytes a place. Two keys with the same 64 bits (for n records a chance of n²/2^65, so 1 in 370,000 for ten million) would end in an image
 * whose sum does not agree, which is made again like any other damaged one, out of what the other members have.
 *
 * That holds only while members do not meet the same accident. Clients choose keys, and two that collide in a known hash are found within a
 * second: registered, they would cost all members their images at the next start. So each table has a salt of its own, which the hash takes
 * in before the key. It decides nothing but the places, so that a simulation stays the same whatever it is.
 */

import { randomBytes } from "node:crypto";
import { fingerprint, type Fingerprint } from "../../registry/hash.ts";

const placesMin = 1024;
const free = 0;
const taken = 1;
/** A record that is gone: a search goes on over it. */
const left = 2;

const saltBytes = 16;

export class RecordSums {
  readonly #salt = randomBytes(saltBytes).toString("latin1");
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
    const { low, high } = this.#hash(key);
    const place = this.#find(low, high);
    return this.#states[place] === taken ? (this.#sums[place] ?? 0) : null;
  }

  set(key: string, sum: number): void {
    // At most three quarters full, so that a search ends soon.
    if (this.#used * 4 >= this.#places * 3) this.#rebuild();
    const { low, high } = this.#hash(key);
    this.#put(low, high, sum);
  }

  delete(key: string): void {
    const { low, high } = this.#hash(key);
    const place = this.#find(low, high);
    if (this.#states[place] !== taken) return;
    this.#states[place] = left;
    this.#count -= 1;
  }

  #hash(key: string): Fingerprint {
    return fingerprint(this.#salt, key);
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
