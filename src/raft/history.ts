/**
 * A value that entries of the log change from their index on, such as the membership. Truncating the log brings the earlier value
 * back; compacting it forgets what lies below.
 */

import { assert, must } from "./assert.ts";
import type { Index } from "./types.ts";

interface Change<T> {
  readonly index: Index;
  readonly value: T;
}

export class History<T> {
  /** Indexes strictly increase. Never empty: the first change is what holds at the log's base. */
  #changes: Change<T>[];

  constructor(index: Index, value: T) {
    this.#changes = [{ index, value }];
  }

  /** The value in force: that of the newest change. */
  get latest(): Change<T> {
    return must(this.#changes.at(-1), "a history is never empty");
  }

  /** The change that was in force once the log ended at `index`. */
  at(index: Index): Change<T> {
    return (
      this.#changes.findLast((change) => change.index <= index) ??
      must(this.#changes[0], "a history is never empty")
    );
  }

  push(index: Index, value: T): void {
    assert(index > this.latest.index, "changes are pushed in the order of the log");
    this.#changes.push({ index, value });
  }

  /** The entries after `index` are gone, and with them what they changed. */
  truncateAfter(index: Index): void {
    this.#changes = this.#changes.filter((change, i) => i === 0 || change.index <= index);
  }

  /** The log now begins after `index`: only what was in force there, and later changes, can be asked for. */
  compactTo(index: Index): void {
    const base = this.at(index);
    this.#changes = this.#changes.filter((change) => change.index >= base.index);
  }

  /** Every value still known, oldest first. */
  values(): T[] {
    return this.#changes.map((change) => change.value);
  }

  /** The value that was in force at `index`, and every later one. */
  since(index: Index): T[] {
    const first = this.at(index);
    return this.#changes.filter((change) => change.index >= first.index).map((change) => change.value);
  }
}
