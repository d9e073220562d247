/**
 * CRC-32 as zlib and gzip have it, over one or several pieces.
 *
 * Most of what is summed is shorter than the call into zlib costs, so short pieces are summed here; long ones go to zlib, which knows the
 * processor's instructions for it.
 */

import { crc32 } from "node:zlib";

/** Bytes, or characters of plain ASCII, up to which it is quicker here. */
const shortMax = 128;

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  return sum;
});

/** Of the pieces one after the other; unsigned. */
export function checksum(...pieces: readonly (Uint8Array | string)[]): number {
  let sum = 0;
  for (const piece of pieces)
    sum = typeof piece === "string" ? ofText(sum, piece) : checksumOf(piece, 0, piece.length, sum);
  return sum;
}

/** Of a part of the bytes, after what came to `before`; unsigned. */
export function checksumOf(bytes: Uint8Array, start: number, end: number, before = 0): number {
  if (end - start > shortMax) return crc32(bytes.subarray(start, end), before);
  let sum = ~before;
  for (let i = start; i < end; i += 1) sum = table[(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
}

function ofText(before: number, text: string): number {
  if (text.length > shortMax) return crc32(text, before);
  let sum = ~before;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    // Several bytes: zlib is given the whole text, which it takes as UTF-8.
    if (code > 0x7f) return crc32(text, before);
    sum = table[(sum ^ code) & 0xff]! ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}
