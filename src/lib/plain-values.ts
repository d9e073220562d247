/**
 * Decodes MessagePack of plain values: null, booleans, numbers, texts, bytes, arrays and maps.
 *
 * For what holds a byte order mark. Without its native addon, which is optional, msgpackr leaves one out at the beginning of a long text, and
 * what clients have registered must not depend on how a member was installed.
 */

import { mark } from "./message-pack.ts";

/** Throws what it likes at bytes that are no plain value; whoever calls has checked them, or catches. */
export function decodePlain(bytes: Uint8Array, textOf: (bytes: Uint8Array) => string): unknown {
  const reader = new PlainReader(bytes, textOf);
  const value = reader.value();
  reader.end();
  return value;
}

/** Whether a text in it may begin with U+FEFF. */
export function holdsByteOrderMark(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(0xef); at >= 0; at = bytes.indexOf(0xef, at + 1)) {
    if (bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) return true;
  }
  return false;
}

class PlainReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #textOf: (bytes: Uint8Array) => string;
  #position = 0;

  constructor(bytes: Uint8Array, textOf: (bytes: Uint8Array) => string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#textOf = textOf;
  }

  value(): unknown {
    const first = this.#view.getUint8(this.#take(1));
    if (first < mark.positiveEnd) return first;
    if (first < mark.mapEnd) return this.#map(first - mark.map);
    if (first < mark.arrayEnd) return this.#array(first - mark.array);
    if (first < mark.textEnd) return this.#text(first - mark.text);
    if (first >= mark.negative) return first - 0x100;
    return this.#longValue(first);
  }

  end(): void {
    if (this.#position !== this.#bytes.length) throw new RangeError("bytes follow the value");
  }

  #longValue(first: number): unknown {
    switch (first) {
      case mark.null:
        return null;
      case mark.false:
        return false;
      case mark.true:
        return true;
      case mark.bytes8:
      case mark.bytes16:
      case mark.bytes32:
        return this.#part(this.#unsigned(1 << (first - mark.bytes8))).slice();
      case mark.float:
        return this.#view.getFloat32(this.#take(4));
      case mark.double:
        return this.#view.getFloat64(this.#take(8));
      case mark.unsigned8:
      case mark.unsigned16:
      case mark.unsigned32:
        return this.#unsigned(1 << (first - mark.unsigned8));
      case mark.signed8:
        return this.#view.getInt8(this.#take(1));
      case mark.signed16:
        return this.#view.getInt16(this.#take(2));
      case mark.signed32:
        return this.#view.getInt32(this.#take(4));
      case mark.text8:
      case mark.text16:
      case mark.text32:
        return this.#text(this.#unsigned(1 << (first - mark.text8)));
      case mark.array16:
      case mark.array32:
        return this.#array(this.#unsigned(2 << (first - mark.array16)));
      case mark.map16:
      case mark.map32:
        return this.#map(this.#unsigned(2 << (first - mark.map16)));
      default:
        throw new RangeError(`0x${first.toString(16)} begins no plain value`);
    }
  }

  /** Where the next `count` bytes begin. */
  #take(count: number): number {
    const start = this.#position;
    this.#position += count;
    if (this.#position > this.#bytes.length) throw new RangeError("the bytes end within a value");
    return start;
  }

  #unsigned(bytes: number): number {
    const start = this.#take(bytes);
    if (bytes === 1) return this.#view.getUint8(start);
    return bytes === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  #part(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #text(length: number): string {
    return this.#textOf(this.#part(length));
  }

  #array(length: number): unknown[] {
    const values: unknown[] = [];
    for (let i = 0; i < length; i += 1) values.push(this.value());
    return values;
  }

  #map(length: number): unknown {
    const entries: [string, unknown][] = [];
    for (let i = 0; i < length; i += 1) entries.push([String(this.value()), this.value()]);
    return Object.fromEntries(entries);
  }
}
