/**
 * The values of a map in order of their names, kept sorted from the first time that somebody asks.
 *
 * Filling a map with a million values costs no sorting; after that a change costs one binary search and one splice.
 */

import { compareText } from "./names.ts";

export class SortedCache<Value> {
  readonly #nameOf: (value: Value) => string;
  #sorted: Value[] | null = null;

  constructor(nameOf: (value: Value) => string) {
    this.#nameOf = nameOf;
  }

  /** @param all The whole map, read only when nothing is sorted yet. */
  values(all: Iterable<Value>): readonly Value[] {
    this.#sorted ??= [...all].sort((left, right) => compareText(this.#nameOf(left), this.#nameOf(right)));
    return this.#sorted;
  }

  added(value: Value): void {
    this.#sorted?.splice(this.position(this.#sorted, this.#nameOf(value)), 0, value);
  }

  removed(value: Value): void {
    this.#sorted?.splice(this.position(this.#sorted, this.#nameOf(value)), 1);
  }

  /** Where the first value stands whose name is not below `name`. */
  position(sorted: readonly Value[], name: string): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const value = sorted[middle];
      if (value !== undefined && compareText(this.#nameOf(value), name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
