/**
 * Reads fields straight from the bytes of MessagePack, without the arrays and strings in between: most of a start is the reading of
 * records and commands, and most of what a decoder makes for it is garbage a moment later.
 *
 * It knows what our own encoder writes of arrays, strings, whole numbers, booleans, null and bytes, and refuses everything else.
 */

import { mark } from "../lib/message-pack.ts";
import { Fields, MalformedError } from "./fields.ts";
import type { InCommon } from "./in-common.ts";

const doubleBytes = new Uint8Array(8);
const double = new DataView(doubleBytes.buffer);

export class PackedFields extends Fields {
  readonly #inCommon: InCommon;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #what: string;
  #position: number;
  /** Fields of the present array that have not been read. */
  #left: number;

  /** `inCommon` is shared by all readers, so that they find what others have read before. Throws MalformedError when no array begins at `start`. */
  constructor(inCommon: InCommon, bytes: Uint8Array, start: number, end: number, what: string) {
    super();
    this.#inCommon = inCommon;
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#what = what;
    this.#left = 1;
    this.#left = this.#arrayLength();
  }

  override text(): string {
    const first = this.#next();
    let length: number;
    if (first >= mark.text && first < mark.textEnd) length = first - mark.text;
    else if (first === mark.text8) length = this.#unsigned(1);
    else if (first === mark.text16) length = this.#unsigned(2);
    else if (first === mark.text32) length = this.#unsigned(4);
    else throw this.unexpected("a string", first);
    const start = this.#position;
    return this.#inCommon.text(this.#bytes, start, this.#pass(length));
  }

  override integer(): number {
    const first = this.#next();
    if (first < mark.positiveEnd) return first;
    if (first >= mark.negative) return first - 0x100;
    switch (first) {
      case mark.unsigned8:
        return this.#unsigned(1);
      case mark.unsigned16:
        return this.#unsigned(2);
      case mark.unsigned32:
        return this.#unsigned(4);
      case mark.signed8:
        return (this.#unsigned(1) << 24) >> 24;
      case mark.signed16:
        return (this.#unsigned(2) << 16) >> 16;
      case mark.signed32:
        return this.#unsigned(4) | 0;
      case mark.double:
        return this.#double();
      default:
        throw this.unexpected("an integer", first);
    }
  }

  override boolean(): boolean {
    const first = this.#next();
    if (first !== mark.true && first !== mark.false) throw this.unexpected("a boolean", first);
    return first === mark.true;
  }

  /** A view on the bytes that are read. */
  override bytes(): Uint8Array {
    const first = this.#next();
    let length: number;
    if (first === mark.bytes8) length = this.#unsigned(1);
    else if (first === mark.bytes16) length = this.#unsigned(2);
    else if (first === mark.bytes32) length = this.#unsigned(4);
    else throw this.unexpected("bytes", first);
    const start = this.#position;
    return this.#bytes.subarray(start, this.#pass(length));
  }

  override nested<Value>(what: string, read: (fields: Fields) => Value): Value {
    const { outer, left } = this.#enter(what);
    const value = read(this);
    this.#leave(outer, left);
    return value;
  }

  override list<Value>(what: string, read: (item: Fields) => Value): Value[] {
    const { outer, left } = this.#enter(what);
    const values: Value[] = [];
    while (this.#left > 0) values.push(read(this));
    this.#leave(outer, left);
    return values;
  }

  override common<Value>(read: (fields: Fields) => Value): Value {
    const start = this.#position;
    const end = this.#endOfTexts(start);
    if (this.#left === 0 || end > this.#end) return read(this);
    const value = this.#inCommon.value<Fields, Value>(read, this, this.#bytes, start, end);
    const wasKnown = this.#position === start;
    if (!wasKnown) return value;
    this.#left -= 1;
    this.#position = end;
    return value;
  }

  override hasMore(): boolean {
    return this.#left > 0;
  }

  override end(): void {
    if (this.#left !== 0) throw new MalformedError(`${this.#what}: ${this.#left} more fields than expected`);
    if (this.#position !== this.#end) throw new MalformedError(`${this.#what}: something follows its end`);
  }

  protected override skipNull(): boolean {
    if (this.#left === 0 || this.#position >= this.#end || this.#bytes[this.#position] !== mark.null)
      return false;
    this.#next();
    return true;
  }

  protected override unexpected(expected: string, found: string | number): MalformedError {
    const text = typeof found === "string" ? JSON.stringify(found) : `a value that begins with ${found}`;
    return new MalformedError(
      `${this.#what}: expected ${expected} before byte ${this.#position}, found ${text}`,
    );
  }

  #ended(): MalformedError {
    return new MalformedError(`${this.#what}: ends too early`);
  }

  #enter(what: string): { readonly outer: string; readonly left: number } {
    const length = this.#arrayLength();
    const entered = { outer: this.#what, left: this.#left };
    this.#what = what;
    this.#left = length;
    return entered;
  }

  #leave(outer: string, left: number): void {
    if (this.#left !== 0) throw new MalformedError(`${this.#what}: ${this.#left} more fields than expected`);
    this.#what = outer;
    this.#left = left;
  }

  #arrayLength(): number {
    const first = this.#next();
    if (first >= mark.array && first < mark.arrayEnd) return first - mark.array;
    if (first === mark.array16) return this.#unsigned(2);
    if (first === mark.array32) return this.#unsigned(4);
    throw this.unexpected("an array", first);
  }

  /** The first byte of the next field. */
  #next(): number {
    if (this.#left === 0 || this.#position >= this.#end) throw this.#ended();
    this.#left -= 1;
    const first = this.#bytes[this.#position] ?? 0;
    this.#position += 1;
    return first;
  }

  /** Moves on by so many bytes; returns where that is. */
  #pass(length: number): number {
    this.#position += length;
    if (this.#position > this.#end) throw this.#ended();
    return this.#position;
  }

  /** Big-endian. */
  #unsigned(length: number): number {
    const end = this.#pass(length);
    let value = 0;
    for (let i = end - length; i < end; i += 1) value = value * 0x100 + (this.#bytes[i] ?? 0);
    return value;
  }

  /** Whole numbers of more than 32 bits are written like this. */
  #double(): number {
    const end = this.#pass(8);
    for (let i = 0; i < 8; i += 1) doubleBytes[i] = this.#bytes[end - 8 + i] ?? 0;
    const value = double.getFloat64(0);
    if (!Number.isSafeInteger(value)) throw this.unexpected("an integer", mark.double);
    return value;
  }

  /** Where the value at `position` ends, if it is a short list of short texts; else beyond the end of everything. */
  #endOfTexts(position: number): number {
    const first = this.#bytes[position] ?? 0;
    if (first < mark.array || first >= mark.arrayEnd) return Infinity;
    let end = position + 1;
    for (let left = first - mark.array; left > 0; left -= 1) {
      const header = this.#bytes[end] ?? 0;
      if (header < mark.text || header >= mark.textEnd) return Infinity;
      end += 1 + header - mark.text;
    }
    return end;
  }
}
