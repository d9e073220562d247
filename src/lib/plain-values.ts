/**
 * Decodes MessagePack of plain values: null, booleans, numbers, texts, bytes, arrays and maps.
 *
 * For what holds a byte order mark. Without its native addon, which is optional, msgpackr leaves one out at the beginning of a long text, and
 * what clients have registered must not depend on how a member was installed.
 */

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

  /** The first byte of each value says what it is, as the MessagePack specification has it. */
  value(): unknown {
    const first = this.#view.getUint8(this.#take(1));
    if (first < 0x80) return first;
    if (first < 0x90) return this.#map(first - 0x80);
    if (first < 0xa0) return this.#array(first - 0x90);
    if (first < 0xc0) return this.#text(first - 0xa0);
    if (first >= 0xe0) return first - 0x100;
    return this.#longValue(first);
  }

  end(): void {
    if (this.#position !== this.#bytes.length) throw new RangeError("bytes follow the value");
  }

  #longValue(first: number): unknown {
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#part(this.#unsigned(1 << (first - 0xc4))).slice();
      case 0xca:
        return this.#view.getFloat32(this.#take(4));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(1 << (first - 0xcc));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(1 << (first - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(2 << (first - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(2 << (first - 0xde)));
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
