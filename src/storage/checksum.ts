/**
 * CRC-32 as zlib and gzip have it, over one or several pieces.
 *
 * Most of what is summed is shorter than the call into zlib costs, so short pieces are summed here, four bytes a step (Kounavis and Berry,
 * "A systematic approach to building high performance software-based CRC generators", 2005); long ones go to zlib, which knows the
 * processor's instructions for it.
 */

import { crc32 } from "node:zlib";

/** Bytes, or characters of plain ASCII, up to which it is quicker here. */
const shortMax = 160;

/** Four tables in one: what a byte comes to with none, one, two or three bytes after it. */
const table = new Int32Array(4 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  table[byte] = sum;
}
for (let i = 256; i < table.length; i += 1) {
  const before = table[i - 256]!;
  table[i] = table[before & 0xff]! ^ (before >>> 8);
}

/** Of the pieces one after the other; unsigned. */
export function checksum(...pieces: readonly (Uint8Array | string)[]): number {
  let sum = 0;
  for (const piece of pieces)
    sum = typeof piece === "string" ? checksumOfText(piece, sum) : checksumOf(piece, 0, piece.length, sum);
  return sum;
}

/** Of a part of the bytes, after what came to `before`; unsigned. */
export function checksumOf(bytes: Uint8Array, start: number, end: number, before = 0): number {
  if (end - start > shortMax) return crc32(bytes.subarray(start, end), before);
  let sum = ~before;
  let i = start;
  for (; i + 4 <= end; i += 4)
    sum = fourMore(sum ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)));
  for (; i < end; i += 1) sum = oneMore(sum ^ bytes[i]!, sum);
  return ~sum >>> 0;
}

/** Of the text in UTF-8, after what came to `before`; unsigned. */
export function checksumOfText(text: string, before = 0): number {
  const { length } = text;
  if (length > shortMax) return crc32(text, before);
  let sum = ~before;
  let all = 0;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    all |= a | b | c | d;
    sum = fourMore(sum ^ (a | (b << 8) | (c << 16) | (d << 24)));
  }
  for (; i < length; i += 1) {
    const code = text.charCodeAt(i);
    all |= code;
    sum = oneMore(sum ^ code, sum);
  }
  // Several bytes a character: zlib is given the whole text, which it takes as UTF-8.
  return all > 0x7f ? crc32(text, before) : ~sum >>> 0;
}

/** `mixed`: the sum before, with four bytes in it. */
function fourMore(mixed: number): number {
  return (
    table[768 + (mixed & 0xff)]! ^
    table[512 + ((mixed >>> 8) & 0xff)]! ^
    table[256 + ((mixed >>> 16) & 0xff)]! ^
    table[mixed >>> 24]!
  );
}

function oneMore(mixed: number, sum: number): number {
  return table[mixed & 0xff]! ^ (sum >>> 8);
}
