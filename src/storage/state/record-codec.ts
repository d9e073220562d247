/**
 * How a record's value stands in the store, and the sum over all records.
 *
 * The checksum covers the key as well, so that a value under another's key is noticed. Checksums do not notice a batch that was lost as a
 * whole, which leaves old values that are right in themselves: the sum over all records does.
 */

import { checksum, checksumOf, checksumOfText } from "../checksum.ts";
import { decode, encode } from "../msgpack.ts";
import type { StoredRecord } from "./record-store.ts";

/** checksum u32, little-endian, before each value. */
export const valueHeaderBytes = 4;

/** A value and its checksum, ready to be stored under `key`. */
export function encodeRecord(
  key: string,
  value: unknown,
): { readonly bytes: Uint8Array; readonly sum: number } {
  const body = encode(value);
  const bytes = Buffer.allocUnsafe(valueHeaderBytes + body.length);
  const sum = checksum(key, body);
  bytes.writeUInt32LE(sum, 0);
  bytes.set(body, valueHeaderBytes);
  return { bytes, sum };
}

/** The checksum that a stored record has, or null when it is not the right one. */
export function verifiedSum([key, bytes]: StoredRecord): number | null {
  if (bytes.length < valueHeaderBytes) return null;
  const stored = (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  return stored === checksumOf(bytes, valueHeaderBytes, bytes.length, checksumOfText(key)) ? stored : null;
}

/** The value of a record whose checksum was verified. */
export function decodeValue(bytes: Uint8Array): unknown {
  return decode(bytes.subarray(valueHeaderBytes));
}

/** The number and the sum of all records: equal for equal records in any order, and all but surely different for different ones. */
export interface Totals {
  readonly count: number;
  readonly sum: number;
}

export const noTotals: Totals = { count: 0, sum: 0 };

/** Below 2^53 with room for one more addition. */
const modulus = 2 ** 48;

export function plus({ count, sum }: Totals, recordSum: number): Totals {
  return { count: count + 1, sum: (sum + mix(recordSum)) % modulus };
}

export function minus({ count, sum }: Totals, recordSum: number): Totals {
  return { count: count - 1, sum: (sum - mix(recordSum) + modulus) % modulus };
}

/**
 * CRCs are linear: two records that swap a bit change their CRCs by the same mask, and plain sums could cancel out. This is the last
 * step of MurmurHash3, in which every bit of the input moves every bit of the result.
 */
function mix(recordSum: number): number {
  let mixed = recordSum ^ (recordSum >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  return mixed >>> 0;
}
