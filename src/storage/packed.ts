/** Reads values in MessagePack field by field, where decoding all of them first would cost more than what they are read for. */

import { InCommon } from "../registry/in-common.ts";
import { PackedFields } from "../registry/packed-fields.ts";

// Not by msgpackr: where its native addon is missing, which is optional, long texts lose a byte order mark at their beginning, and what a
// member applies must not depend on how it was installed.
const inCommon = new InCommon({
  ascii: (bytes, start, end) => asBuffer(bytes).toString("latin1", start, end),
  utf8: (bytes, start, end) => asBuffer(bytes).toString("utf8", start, end),
});

/** The fields of the array at `start`. Throws MalformedError when there is none. */
export function packedFields(
  bytes: Uint8Array,
  what: string,
  start = 0,
  end: number = bytes.length,
): PackedFields {
  return new PackedFields(inCommon, bytes, start, end, what);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
