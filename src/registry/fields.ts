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

export class Fields {
  readonly #values: readonly unknown[];
  readonly #what: string;
  #next = 0;

  /** @param what Names the whole in messages, such as "instance". */
  constructor(value: unknown, what: string) {
    if (!Array.isArray(value)) throw new MalformedError(`${what}: expected an array, found ${kindOf(value)}`);
    this.#values = value;
    this.#what = what;
  }

  text(): string {
    const value = this.any();
    if (typeof value !== "string") throw this.#unexpected("a string", value);
    return value;
  }

  /** A whole number within +-(2^53 - 1). */
  integer(): number {
    const value = this.any();
    if (typeof value !== "number" || !Number.isSafeInteger(value))
      throw this.#unexpected("an integer", value);
    return value;
  }

  boolean(): boolean {
    const value = this.any();
    if (typeof value !== "boolean") throw this.#unexpected("a boolean", value);
    return value;
  }

  textOrNull(): string | null {
    return this.#skipNull() ? null : this.text();
  }

  integerOrNull(): number | null {
    return this.#skipNull() ? null : this.integer();
  }

  oneOf<Choice extends string>(choices: readonly Choice[]): Choice {
    const value = this.any();
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.#unexpected(`one of ${choices.join(", ")}`, value);
    return found;
  }

  oneOfOrNull<Choice extends string>(choices: readonly Choice[]): Choice | null {
    return this.#skipNull() ? null : this.oneOf(choices);
  }

  /** A field that is itself an array of fields. */
  nested<Value>(what: string, read: (fields: Fields) => Value): Value {
    return readFields(this.any(), what, read);
  }

  nestedOrNull<Value>(what: string, read: (fields: Fields) => Value): Value | null {
    return this.#skipNull() ? null : this.nested(what, read);
  }

  /** A field that is a list of things of one kind. */
  list<Value>(what: string, read: (item: Fields) => Value): Value[] {
    const value = this.any();
    if (!Array.isArray(value)) throw this.#unexpected(`a list of ${what}`, value);
    const items = new Fields(value, what);
    return value.map(() => read(items));
  }

  listOrNull<Value>(what: string, read: (item: Fields) => Value): Value[] | null {
    return this.#skipNull() ? null : this.list(what, read);
  }

  any(): unknown {
    if (this.#next >= this.#values.length) {
      throw new MalformedError(`${this.#what}: ends after ${this.#values.length} fields`);
    }
    const value: unknown = this.#values[this.#next];
    this.#next += 1;
    return value;
  }

  /** Whether fields that may be absent at the end are there. */
  hasMore(): boolean {
    return this.#next < this.#values.length;
  }

  /** Refuses what the reader does not know, rather than dropping it silently. */
  end(): void {
    if (this.#next !== this.#values.length) {
      throw new MalformedError(`${this.#what}: expected ${this.#next} fields, found ${this.#values.length}`);
    }
  }

  #skipNull(): boolean {
    if (this.#values[this.#next] !== null) return false;
    this.#next += 1;
    return true;
  }

  #unexpected(expected: string, value: unknown): MalformedError {
    return new MalformedError(
      `${this.#what}: expected ${expected} as field ${this.#next - 1}, found ${kindOf(value)}`,
    );
  }
}

/** Reads all fields of a value: one too few or too many is refused. */
export function readFields<Value>(value: unknown, what: string, read: (fields: Fields) => Value): Value {
  const fields = new Fields(value, what);
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
