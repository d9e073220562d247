/**
 * How one record stands in a segment, and nothing about what it means.
 *
 * Each record repeats the checksum of the one before it (`chain`), so that a record that is missing, repeated, or left over from an
 * earlier use of the same blocks is noticed even though its own checksum is right.
 */

import { checksumOf } from "../checksum.ts";

/** length u32, checksum u32, type u8, chain u32; little-endian, the body follows. */
export const recordHeaderBytes = 13;

/** The chain value of the very first record. */
export const chainStart = 0;

export interface RawRecord {
  readonly type: number;
  /** The checksum of the record before. */
  readonly chain: number;
  readonly checksum: number;
  readonly body: Uint8Array;
  /** Where the next record begins. */
  readonly end: number;
}

/** Writes the record at `position`, which must have room for it, and returns the checksum that the next record has to repeat. */
export function writeRecord(
  target: Buffer,
  position: number,
  record: { readonly type: number; readonly chain: number; readonly body: Uint8Array },
): number {
  const { type, chain, body } = record;
  target.writeUInt32LE(body.length, position);
  target.writeUInt8(type, position + 8);
  target.writeUInt32LE(chain, position + 9);
  target.set(body, position + recordHeaderBytes);
  const sum = sumOf(target, position, position + recordHeaderBytes + body.length);
  target.writeUInt32LE(sum, position + 4);
  return sum;
}

/** The record at `position`, or null when there is no whole record with a right checksum. */
export function readRecord(segment: Buffer, position: number): RawRecord | null {
  if (position + recordHeaderBytes > segment.length) return null;
  const end = position + recordHeaderBytes + segment.readUInt32LE(position);
  if (end > segment.length) return null;
  const sum = segment.readUInt32LE(position + 4);
  if (sum !== sumOf(segment, position, end)) return null;
  return {
    type: segment.readUInt8(position + 8),
    chain: segment.readUInt32LE(position + 9),
    checksum: sum,
    body: segment.subarray(position + recordHeaderBytes, end),
    end,
  };
}

/** Over everything but the checksum itself. */
function sumOf(bytes: Buffer, start: number, end: number): number {
  return checksumOf(bytes, start + 8, end, checksumOf(bytes, start, start + 4));
}
