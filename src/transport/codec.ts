/**
 * The one place that knows how values become bytes between members: MessagePack with pinned options, and only its plain part.
 *
 * A fresh `Packr` would decode maps as Map, keep whole network buffers alive through small byte strings, and read extensions that build
 * Errors, Sets, RegExps, cycles, and record readers through `new Function`. Some of them cannot be switched off, so every body is walked
 * first (`checkPlain`) and refused if it holds anything but nil, booleans, numbers, strings, byte strings, arrays and maps.
 */

import { Packr } from "msgpackr";
import { decodePlain, holdsByteOrderMark } from "../lib/plain-values.ts";
import { checkPlain } from "./plain-msgpack.ts";
import { PeerProtocolError } from "./protocol-error.ts";

const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  copyBuffers: true,
  moreTypes: false,
  structuredClone: false,
  bundleStrings: false,
  // An `undefined` would become an extension, which no member reads.
  encodeUndefinedAsNil: true,
});

/** The result is a view on a buffer that is shared with later calls' results: copy it before keeping it. */
export function encodeBody(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Plain values that share no memory with `body`. Throws PeerProtocolError. */
export function decodeBody(body: Uint8Array): unknown {
  checkPlain(body);
  try {
    return holdsByteOrderMark(body) ? decodePlain(body, utf8) : packr.unpack(body);
  } catch (cause) {
    throw new PeerProtocolError("the bytes are not MessagePack", cause);
  }
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
