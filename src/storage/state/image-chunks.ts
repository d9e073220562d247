/**
 * An image in chunks, as it travels from one member to another: counted from 0, each with a checksum, the last one with the totals that
 * the whole must come to.
 */

import { MalformedError, readFields } from "../../registry/fields.ts";
import type { LogBase } from "../../replica/ports.ts";
import { baseFromArray, baseToArray } from "../log-base.ts";
import { checksum } from "../checksum.ts";
import { decode, encode } from "../msgpack.ts";
import type { Totals } from "./record-codec.ts";
import type { StoredRecord } from "./record-store.ts";

/** Sent by a member of this version; a member that does not know it cannot install the image. */
const transferFormat = 1;

/** checksum u32, little-endian, before the body. */
const chunkHeaderBytes = 4;

export interface ImageChunk {
  readonly position: number;
  /** What the whole image stands for; in every chunk, so that chunks of two images never mix. */
  readonly base: LogBase;
  readonly records: readonly StoredRecord[];
  /** In the last chunk. */
  readonly totals: Totals | null;
}

export function encodeChunk({ position, base, records, totals }: ImageChunk): Uint8Array {
  const body = encode([
    transferFormat,
    position,
    baseToArray(base),
    records,
    totals === null ? null : [totals.count, totals.sum],
  ]);
  const bytes = Buffer.allocUnsafe(chunkHeaderBytes + body.length);
  bytes.writeUInt32LE(checksum(body), 0);
  bytes.set(body, chunkHeaderBytes);
  return bytes;
}

/** Null when the bytes are not a chunk that this version knows. */
export function decodeChunk(bytes: Uint8Array): ImageChunk | null {
  if (bytes.length < chunkHeaderBytes) return null;
  const body = bytes.subarray(chunkHeaderBytes);
  const stored = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  if (stored !== checksum(body)) return null;
  try {
    return readFields(decode(body), "image chunk", (fields) => {
      if (fields.integer() !== transferFormat) throw new MalformedError("another format");
      return {
        position: fields.integer(),
        base: baseFromArray(fields.any()),
        records: fields.list("records", (item) =>
          item.nested("record", (record) => [record.text(), record.bytes()] as const),
        ),
        totals: fields.nestedOrNull("totals", (totals) => ({
          count: totals.integer(),
          sum: totals.integer(),
        })),
      };
    });
  } catch {
    // Bytes with a right checksum that another version, or nobody we know, has made.
    return null;
  }
}
