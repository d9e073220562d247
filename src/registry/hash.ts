/**
 * A 64-bit fingerprint of plain values (arrays, strings, whole numbers, booleans, null), in two independent lanes of 32 bits.
 *
 * It is for comparing members and repeated requests, where the values are our own: it withstands accidents, not an adversary.
 * Storage protects its bytes by its own checksums.
 */

export interface Fingerprint {
  readonly low: number;
  readonly high: number;
}

// Set for the length of one call: two numbers as a result of every step would cost an allocation each.
let low = 0;
let high = 0;

export function fingerprint(key: string, value: unknown): Fingerprint {
  low = 0x9e3779b9 | 0;
  high = 0x85ebca6b | 0;
  mixText(key);
  mixValue(value);
  return { low: finish(low ^ (high >>> 7)), high: finish(high ^ (low >>> 11)) };
}

/** 16 hex digits. */
export function fingerprintText(value: Fingerprint): string {
  return hex(value.high) + hex(value.low);
}

/** Adds fingerprints up; the order does not matter, so that neither does the order in which a map is walked. */
export class FingerprintSum {
  #low = 0;
  #high = 0;

  add(value: Fingerprint): void {
    this.#low = (this.#low + value.low) | 0;
    this.#high = (this.#high + value.high) | 0;
  }

  subtract(value: Fingerprint): void {
    this.#low = (this.#low - value.low) | 0;
    this.#high = (this.#high - value.high) | 0;
  }

  text(): string {
    return fingerprintText({ low: this.#low, high: this.#high });
  }
}

/** Each kind of value begins with a mark of its own, so that 1, "1" and [1] differ. */
const marks = { null: 1, false: 2, true: 3, number: 4, text: 5, list: 6 } as const;

const lowFactor = 0x9e3779b1;
const highFactor = 0x5f356495;

function mixValue(value: unknown): void {
  if (value === null) return mix(marks.null);
  if (typeof value === "string") return mixText(value);
  if (typeof value === "number") return mixNumber(value);
  if (typeof value === "boolean") return mix(value ? marks.true : marks.false);
  if (!Array.isArray(value)) throw new TypeError(`a record cannot hold a value of type ${typeof value}`);
  mix(marks.list);
  mix(value.length);
  // By index: an iterator would cost an allocation for each item.
  for (let i = 0; i < value.length; i += 1) mixValue(value[i]);
}

function mixText(text: string): void {
  mix(marks.text);
  mix(text.length);
  // As `mix` does, in local lanes: most of what is hashed is text, and those of the module cost a store for each character.
  let [l, h] = [low, high];
  for (let i = 0; i < text.length; i += 1) {
    const word = text.charCodeAt(i);
    l = Math.imul(l ^ word, lowFactor);
    l ^= l >>> 15;
    h = Math.imul(h ^ word, highFactor);
    h ^= h >>> 13;
  }
  low = l;
  high = h;
}

function mixNumber(number: number): void {
  mix(marks.number);
  mix(number | 0);
  mix(Math.floor(number / 0x1_0000_0000) | 0);
}

function mix(word: number): void {
  low = Math.imul(low ^ word, lowFactor);
  low ^= low >>> 15;
  high = Math.imul(high ^ word, highFactor);
  high ^= high >>> 13;
}

function finish(lane: number): number {
  let mixed = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function hex(lane: number): string {
  return (lane >>> 0).toString(16).padStart(8, "0");
}
