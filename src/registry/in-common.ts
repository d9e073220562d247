/**
 * One copy of what many instances have in common: their zone, version and session, their tags and their metadata.
 *
 * Two tables with a fixed number of places, in which what is read takes the place of what was there: nothing has to be counted or let go,
 * what comes often is found most of the time, and what the tables keep alive is bounded. Being found changes nothing but memory.
 */

/** What is not done here, because only the runtime does it well. */
export interface TextDecoding {
  /** A string of its own, of bytes that are ASCII. */
  ascii(bytes: Uint8Array, start: number, end: number): string;
  /** The same of any bytes; what is no UTF-8 becomes U+FFFD, and nothing is left out. */
  utf8(bytes: Uint8Array, start: number, end: number): string;
}

/** Powers of two. */
const textPlaces = 8192;
const valuePlaces = 2048;

/** Longer ones are seldom the same, in bytes. */
const textBytesMax = 64;
const valueBytesMax = 256;

interface Kept {
  readonly read: unknown;
  readonly bytes: Uint8Array;
  readonly value: unknown;
}

export class InCommon {
  readonly #decoding: TextDecoding;
  readonly #texts: string[] = Array<string>(textPlaces).fill("");
  readonly #values: (Kept | undefined)[] = Array<Kept | undefined>(valuePlaces).fill(undefined);

  constructor(decoding: TextDecoding) {
    this.#decoding = decoding;
  }

  text(bytes: Uint8Array, start: number, end: number): string {
    let hash = 0;
    let all = 0;
    for (let i = start; i < end; i += 1) {
      const byte = bytes[i] ?? 0;
      hash = Math.imul(hash ^ byte, 0x01000193);
      all |= byte;
    }
    if (all > 0x7f) return this.#decoding.utf8(bytes, start, end);
    if (end - start > textBytesMax) return this.#decoding.ascii(bytes, start, end);
    const place = (hash ^ (hash >>> 15)) & (textPlaces - 1);
    const known = this.#texts[place] ?? "";
    if (isText(known, bytes, start, end)) return known;
    const text = this.#decoding.ascii(bytes, start, end);
    this.#texts[place] = text;
    return text;
  }

  /** What `read` made of the same bytes before, without reading them again; otherwise what it makes of them now. */
  value<From, Value>(
    read: (from: From) => Value,
    from: From,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Value {
    if (end - start > valueBytesMax) return read(from);
    const place = placeOf(bytes, start, end);
    const kept = this.#values[place];
    if (kept?.read === read && isSame(kept.bytes, bytes, start, end)) return kept.value as Value;
    const value = read(from);
    this.#values[place] = { read, bytes: Uint8Array.prototype.slice.call(bytes, start, end), value };
    return value;
  }
}

function placeOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i += 1) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return (hash ^ (hash >>> 15)) & (valuePlaces - 1);
}

function isText(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}

function isSame(kept: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (kept.length !== end - start) return false;
  for (let i = 0; i < kept.length; i += 1) if (kept[i] !== bytes[start + i]) return false;
  return true;
}
