/** A map that came from another member, read field by field into types that can be relied on. */

import { PeerProtocolError } from "./protocol-error.ts";

/** Every reader throws PeerProtocolError, naming the field, when it is missing or of another type. */
export class Fields {
  readonly #map: Readonly<Record<string, unknown>>;
  readonly #what: string;

  constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
      throw new PeerProtocolError(`${what} is not a map`);
    }
    this.#map = value as Readonly<Record<string, unknown>>;
    this.#what = what;
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === "string" ? value : this.#fail(name, "a text");
  }

  textOrNull(name: string): string | null {
    return this.#get(name) === null ? null : this.text(name);
  }

  /** A whole number from 0. */
  count(name: string): number {
    const value = this.#get(name);
    return Number.isSafeInteger(value) && Number(value) >= 0
      ? Number(value)
      : this.#fail(name, "a whole number from 0");
  }

  /** A number from 0. */
  amount(name: string): number {
    const value = this.#get(name);
    return Number.isFinite(value) && Number(value) >= 0 ? Number(value) : this.#fail(name, "a number from 0");
  }

  amountOrNull(name: string): number | null {
    return this.#get(name) === null ? null : this.amount(name);
  }

  flag(name: string): boolean {
    const value = this.#get(name);
    return typeof value === "boolean" ? value : this.#fail(name, "true or false");
  }

  bytes(name: string): Uint8Array {
    const value = this.#get(name);
    return value instanceof Uint8Array ? value : this.#fail(name, "a byte string");
  }

  list(name: string): readonly unknown[] {
    const value = this.#get(name);
    return Array.isArray(value) ? value : this.#fail(name, "a list");
  }

  texts(name: string): readonly string[] {
    const values = this.list(name);
    return values.every((value) => typeof value === "string") ? values : this.#fail(name, "a list of texts");
  }

  maps(name: string): readonly Fields[] {
    return this.list(name).map((value) => new Fields(value, `an item of ${name}`));
  }

  isNull(name: string): boolean {
    return this.#get(name) === null;
  }

  inner(name: string): Fields {
    return new Fields(this.#get(name), `${this.#what}'s ${name}`);
  }

  oneOf<Word extends string>(name: string, words: Readonly<Record<Word, true>>): Word {
    const value = this.text(name);
    return Object.hasOwn(words, value)
      ? (value as Word)
      : this.#fail(name, `one of ${Object.keys(words).join(", ")}`);
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#map, name) ? this.#map[name] : undefined;
  }

  #fail(name: string, expected: string): never {
    throw new PeerProtocolError(`${this.#what} must have ${expected} as ${name}`);
  }
}
