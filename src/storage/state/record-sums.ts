/**
 * The checksum of each record by its key: what the running sum loses when the record changes.
 *
 * There are as many as records, so that they stand in a flat array under 64 bits of the key's hash, in place of a map under the keys: 12
 * bytes a place. Two keys with the same 64 bits (for n records a chance of n²/2^65, so 1 in 370,000 for ten million) would end in an image
 * whose sum does not agree, which is made again like any other damaged one, out of what the other members have.
 *
 * That holds only while members do not meet the same accident. Clients choose keys, and two that collide in a known hash are found within a
 * second: registered, they would cost all members their images at the next start. So each process has a salt of its own, from which the
 * hash starts. It decides nothing but the places, so that a simulation stays the same whatever it is.
 */

import { randomBytes } from "node:crypto";
import type { Fingerprint } from "../../registry/hash.ts";

const salt = randomBytes(8);
const saltLow = salt.readInt32LE();
const saltHigh = salt.readInt32LE(4);

const placesMin = 1024;

/** What a place has in the words of the array, from its start on. */
const low = 0;
const high = 1;
const sumOf = 2;
const wordsPerPlace = 3;

/** In the places of hashes that nobody has: `high` is 0 where nothing is, and `low` tells a record that is gone from none. */
const free = 0;
const left = 1;

/** The multipliers of the two lanes of the hash. */
const multipliers = { low: 0x9e3779b1, high: 0x5f356495 } as const;

export class RecordSums {
  #places = placesMin;
  #words = new Int32Array(placesMin * wordsPerPlace);
  #count = 0;
  /** Places that are not free. */
  #used = 0;

  get count(): number {
    return this.#count;
  }

  /** Makes room for so many. */
  reserve(count: number): void {
    let places = this.#places;
    while (places * 3 < count * 4) places *= 2;
    if (places > this.#places) this.#rebuild(places);
  }

  /** As a signed 32-bit integer; null for a key without a record. */
  get(key: string): number | null {
    const hash = this.#hash(key);
    const at = this.#find(hash);
    return this.#words[at + high] === 0 ? null : (this.#words[at + sumOf] ?? 0);
  }

  set(key: string, sum: number): void {
    // At most three quarters full, so that a search ends soon.
    if (this.#used * 4 >= this.#places * 3)
      this.#rebuild(this.#count * 2 >= this.#places ? this.#places * 2 : this.#places);
    this.#put(this.#hash(key), sum);
  }

  delete(key: string): void {
    const at = this.#find(this.#hash(key));
    if (this.#words[at + high] === 0) return;
    this.#words[at + low] = left;
    this.#words[at + high] = 0;
    this.#count -= 1;
  }

  /** Two characters a step. */
  #hash(key: string): Fingerprint {
    const { length } = key;
    let low = saltLow ^ length;
    let high = saltHigh ^ length;
    for (let i = 0; i < length; i += 2) {
      const word = key.charCodeAt(i) | (i + 1 < length ? key.charCodeAt(i + 1) << 16 : 0);
      low = Math.imul(low ^ word, multipliers.low);
      low ^= low >>> 15;
      high = Math.imul(high ^ word, multipliers.high);
      high ^= high >>> 13;
    }
    high = finish(high ^ (low >>> 11));
    return { low: finish(low ^ (high >>> 7)), high: high === 0 ? 1 : high };
  }

  /** Where the key stands, or the free place where it would: the number of its first word. */
  #find(hash: Fingerprint): number {
    const words = this.#words;
    const end = words.length;
    let at = (hash.low & (this.#places - 1)) * wordsPerPlace;
    for (;;) {
      const present = words[at + high];
      if (present === hash.high && words[at + low] === hash.low) return at;
      if (present === 0 && words[at + low] === free) return at;
      at += wordsPerPlace;
      if (at === end) at = 0;
    }
  }

  #put(hash: Fingerprint, sum: number): void {
    const at = this.#find(hash);
    if (this.#words[at + high] === 0) {
      this.#used += 1;
      this.#count += 1;
    }
    this.#words[at + low] = hash.low;
    this.#words[at + high] = hash.high;
    this.#words[at + sumOf] = sum;
  }

  /** Larger where it has to be, and without the places that were left. */
  #rebuild(places: number): void {
    const before = this.#words;
    this.#places = places;
    this.#words = new Int32Array(places * wordsPerPlace);
    this.#count = 0;
    this.#used = 0;
    for (let at = 0; at < before.length; at += wordsPerPlace) {
      const hash = { low: before[at + low] ?? 0, high: before[at + high] ?? 0 };
      if (hash.high !== 0) this.#put(hash, before[at + sumOf] ?? 0);
    }
  }
}

/** The last step of MurmurHash3: every bit of the input moves every bit of the result. */
function finish(lane: number): number {
  let mixed = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
