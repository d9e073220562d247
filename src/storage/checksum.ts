/** CRC-32 as zlib and gzip have it, over one or several pieces. */

import { crc32 } from "node:zlib";

/** Of the pieces one after the other; unsigned. */
export function checksum(...pieces: readonly (Uint8Array | string)[]): number {
  let sum = 0;
  for (const piece of pieces) sum = crc32(piece, sum);
  return sum;
}
