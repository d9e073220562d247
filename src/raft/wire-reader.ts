/**
 * Reads positional arrays that came from outside. Nothing in them is believed: every field says what it must be, and a missing, wrong or
 * surplus one is refused with its place in a sentence.
 */

/** Thrown over an array that does not mean what its reader expects. The bytes are bad, not this member. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Names, URLs and ids are short; a longer string is an accident or an attack. */
const textLengthMax = 2048;

export class WireReader {
  readonly #values: readonly unknown[];
  readonly #what: string;
  #position = 0;

  /** `what` names the thing in error messages. */
  constructor(value: unknown, what: string) {
    if (!Array.isArray(value)) throw new WireError(`${what} must be an array`);
    this.#values = value;
    this.#what = what;
  }

  /** Throws with the place of the field read last. */
  refuse(reason: string): never {
    throw new WireError(`field ${this.#position - 1} of ${this.#what} ${reason}`);
  }

  /** An integer that numbers can hold exactly, at least `min`. */
  integer(min = 0): number {
    const value = this.#next();
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min)
      this.refuse(`must be an integer of at least ${min}`);
    return value;
  }

  integerOrNull(): number | null {
    if (this.#values[this.#position] !== null) return this.integer();
    this.#position += 1;
    return null;
  }

  /** A string that is not empty. */
  name(): string {
    const value = this.text();
    if (value === "") this.refuse("must not be empty");
    return value;
  }

  text(): string {
    const value = this.#next();
    if (typeof value !== "string" || value.length > textLengthMax)
      this.refuse(`must be a string of at most ${textLengthMax}`);
    return value;
  }

  boolean(): boolean {
    const value = this.#next();
    if (typeof value !== "boolean") this.refuse("must be a boolean");
    return value;
  }

  bytes(): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array)) this.refuse("must be bytes");
    return value;
  }

  /** A list, each item of it read by `read`. */
  list<T>(read: (item: unknown) => T): T[] {
    const value = this.#next();
    if (!Array.isArray(value)) this.refuse("must be a list");
    return value.map(read);
  }

  names(): string[] {
    return this.list((item) => new WireReader([item], this.#what).name());
  }

  /** A nested array, to be read by another reader. */
  nested(): unknown {
    return this.#next();
  }

  /** Call when all fields are read: what is left over was not meant for us. */
  end(): void {
    if (this.#position === this.#values.length) return;
    throw new WireError(`${this.#what} has ${this.#values.length} fields instead of ${this.#position}`);
  }

  #next(): unknown {
    if (this.#position >= this.#values.length)
      throw new WireError(`${this.#what} ends after ${this.#position} fields`);
    this.#position += 1;
    return this.#values[this.#position - 1];
  }
}
