/**
 * The one place that knows how values become bytes on disk: MessagePack with pinned options.
 *
 * A fresh `Packr` would read maps as Map and share memory between a small byte string and the whole file it was read from. Everything
 * here is an array, a string, a safe integer, a boolean, null or bytes, written by ourselves and read only after its checksum was right.
 */

import { Packr } from "msgpackr";
import { decodePlain, holdsByteOrderMark } from "../lib/plain-values.ts";
import { WireError } from "../raft/wire-reader.ts";
import { MalformedError } from "../registry/fields.ts";

const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  copyBuffers: true,
  moreTypes: false,
  structuredClone: false,
  bundleStrings: false,
  encodeUndefinedAsNil: true,
});

/** The result is a view on a buffer that later results share: copy it before keeping it for long. */
export function encode(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Shares no memory with the bytes. Throws MalformedError when they are not exactly one value. */
export function decode(bytes: Uint8Array): unknown {
  try {
    return holdsByteOrderMark(bytes) ? decodePlain(bytes, utf8) : packr.unpack(bytes);
  } catch (error) {
    throw new MalformedError(`not MessagePack: ${String(error)}`);
  }
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

/** Reads what the core has written as an array; its complaints become ours. */
export function readWire<T>(value: unknown, read: (value: unknown) => T): T {
  try {
    return read(value);
  } catch (error) {
    throw error instanceof WireError ? new MalformedError(error.message) : error;
  }
}
