/**
 * Reads values that came from a disk or a peer as positional arrays, one field after another, and trusts none of them.
 *
 * It checks structure (types, whole numbers, length), not the rules of the registry: those are checked by apply, whose answer must be
 * the same on every member.
 */

/** The value does not have the shape that its reader expects. */
export class MalformedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MalformedError";
  }
}

/** One field after another. Where the values come from is a matter of the subclass. */
export abstract class Fields {
  abstract text(): string;
  /** A whole number within +-(2^53 - 1). */
  abstract integer(): number;
  abstract boolean(): boolean;
  abstract bytes(): Uint8Array;
  /** A field that is itself an array of fields. */
  abstract nested<Value>(what: string, read: (fields: Fields) => Value): Value;
  /** A field that is a list of things of one kind. */
  abstract list<Value>(what: string, read: (item: Fields) => Value): Value[];
  /** What `read` makes of the next field, or has made of an equal one before: for what never changes and many have in common. */
  abstract common<Value>(read: (fields: Fields) => Value): Value;
  /** Whether fields that may be absent at the end are there. */
  abstract hasMore(): boolean;
  /** Refuses what the reader does not know, rather than dropping it silently. */
  abstract end(): void;
  /** Passes the next field if it is null. Returns whether it was. */
  protected abstract skipNull(): boolean;
  protected abstract unexpected(expected: string, value: unknown): MalformedError;

  textOrNull(): string | null {
    return this.skipNull() ? null : this.text();
  }

  integerOrNull(): number | null {
    return this.skipNull() ? null : this.integer();
  }

  oneOf<Choice extends string>(choices: readonly Choice[]): Choice {
    const value = this.text();
    for (const choice of choices) if (choice === value) return choice;
    throw this.unexpected(`one of ${choices.join(", ")}`, value);
  }

  oneOfOrNull<Choice extends string>(choices: readonly Choice[]): Choice | null {
    return this.skipNull() ? null : this.oneOf(choices);
  }

  nestedOrNull<Value>(what: string, read: (fields: Fields) => Value): Value | null {
    return this.skipNull() ? null : this.nested(what, read);
  }

  listOrNull<Value>(what: string, read: (item: Fields) => Value): Value[] | null {
    return this.skipNull() ? null : this.list(what, read);
  }
}

/** The fields of a value that has been decoded already. */
export class ValueFields extends Fields {
  readonly #values: readonly unknown[];
  readonly #what: string;
  #next = 0;

  /** @param what Names the whole in messages, such as "instance". */
  constructor(value: unknown, what: string) {
    super();
    if (!Array.isArray(value)) throw new MalformedError(`${what}: expected an array, found ${kindOf(value)}`);
    this.#values = value;
    this.#what = what;
  }

  override text(): string {
    const value = this.any();
    if (typeof value !== "string") throw this.unexpected("a string", value);
    return value;
  }

  override integer(): number {
    const value = this.any();
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw this.unexpected("an integer", value);
    return value;
  }

  override boolean(): boolean {
    const value = this.any();
    if (typeof value !== "boolean") throw this.unexpected("a boolean", value);
    return value;
  }

  override bytes(): Uint8Array {
    const value = this.any();
    if (!(value instanceof Uint8Array)) throw this.unexpected("bytes", value);
    return value;
  }

  override nested<Value>(what: string, read: (fields: Fields) => Value): Value {
    return readFields(this.any(), what, read);
  }

  override list<Value>(what: string, read: (item: Fields) => Value): Value[] {
    const value = this.any();
    if (!Array.isArray(value)) throw this.unexpected(`a list of ${what}`, value);
    const items = new ValueFields(value, what);
    return value.map(() => read(items));
  }

  override common<Value>(read: (fields: Fields) => Value): Value {
    return read(this);
  }

  /** A field of any kind. */
  any(): unknown {
    if (this.#next >= this.#values.length) {
      throw new MalformedError(`${this.#what}: ends after ${this.#values.length} fields`);
    }
    const value: unknown = this.#values[this.#next];
    this.#next += 1;
    return value;
  }

  override hasMore(): boolean {
    return this.#next < this.#values.length;
  }

  override end(): void {
    if (this.#next !== this.#values.length) {
      throw new MalformedError(`${this.#what}: expected ${this.#next} fields, found ${this.#values.length}`);
    }
  }

  protected override skipNull(): boolean {
    if (this.#values[this.#next] !== null) return false;
    this.#next += 1;
    return true;
  }

  protected override unexpected(expected: string, value: unknown): MalformedError {
    return new MalformedError(
      `${this.#what}: expected ${expected} as field ${this.#next - 1}, found ${kindOf(value)}`,
    );
  }
}

/** Reads all fields of a value: one too few or too many is refused. */
export function readFields<Value>(value: unknown, what: string, read: (fields: ValueFields) => Value): Value {
  return readAll(new ValueFields(value, what), read);
}

export function readAll<Value, Source extends Fields>(
  fields: Source,
  read: (fields: Source) => Value,
): Value {
  const result = read(fields);
  fields.end();
  return result;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return `the number ${value}`;
  return `a value of type ${typeof value}`;
}
