/**
 * Walks over MessagePack without decoding it and refuses what members never send one another: extensions (0xc7-0xc9, 0xd4-0xd8),
 * the reserved byte 0xc1, 64-bit integers (numbers above 2^32 travel as floats), too deep nesting, lengths beyond the end.
 *
 * Byte strings and texts are skipped, so the cost grows with the number of values and not with their size.
 */

import { PeerProtocolError } from "./protocol-error.ts";

const nestingMax = 16;

/** By first byte: how many bytes follow that say the length of a string, array or map. */
const byteStringLengthBytes = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
]);
const textLengthBytes = new Map([
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
]);
const arrayLengthBytes = new Map([
  [0xdc, 2],
  [0xdd, 4],
]);
const mapLengthBytes = new Map([
  [0xde, 2],
  [0xdf, 4],
]);
/** By first byte: how many bytes of a number or a constant follow. */
const scalarBytes = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
]);

/** Throws PeerProtocolError unless `body` is exactly one plain value. */
export function checkPlain(body: Uint8Array): void {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  /** How many values each open array or map still lacks, the outermost first. */
  const missing = [1];
  let position = 0;

  const take = (count: number): number => {
    const start = position;
    position += count;
    if (position > body.byteLength) throw new PeerProtocolError("the bytes end within a value");
    return start;
  };
  const takeLength = (bytes: number): number => {
    const start = take(bytes);
    if (bytes === 1) return view.getUint8(start);
    return bytes === 2 ? view.getUint16(start) : view.getUint32(start);
  };
  const open = (values: number): void => {
    if (values === 0) return;
    if (missing.length > nestingMax) throw new PeerProtocolError(`values nest deeper than ${nestingMax}`);
    missing.push(values);
  };

  while (missing.length > 0) {
    const left = missing.length - 1;
    const count = missing[left] ?? 0;
    if (count === 0) {
      missing.pop();
      continue;
    }
    missing[left] = count - 1;

    const first = view.getUint8(take(1));
    const contents = contentsOf(first, takeLength);
    take(contents.skip);
    open(contents.values);
  }
  if (position !== body.byteLength) throw new PeerProtocolError("bytes follow the value");
}

/** What follows the first byte (and the length, which this takes): bytes to skip, then so many values. */
function contentsOf(
  first: number,
  takeLength: (bytes: number) => number,
): { readonly skip: number; readonly values: number } {
  // fixint, positive and negative
  if (first < 0x80 || first >= 0xe0) return { skip: 0, values: 0 };
  if (first < 0x90) return { skip: 0, values: 2 * (first - 0x80) };
  if (first < 0xa0) return { skip: 0, values: first - 0x90 };
  if (first < 0xc0) return { skip: first - 0xa0, values: 0 };

  const scalar = scalarBytes.get(first);
  if (scalar !== undefined) return { skip: scalar, values: 0 };
  const string = byteStringLengthBytes.get(first) ?? textLengthBytes.get(first);
  if (string !== undefined) return { skip: takeLength(string), values: 0 };
  const array = arrayLengthBytes.get(first);
  if (array !== undefined) return { skip: 0, values: takeLength(array) };
  const map = mapLengthBytes.get(first);
  if (map !== undefined) return { skip: 0, values: 2 * takeLength(map) };
  throw new PeerProtocolError(`values of type 0x${first.toString(16)} are not exchanged between members`);
}
