/** The records that changed since they were last taken, and the hash over all of them. */

import { FingerprintSum } from "./hash.ts";
import type { Recorded, RecordRange } from "./records.ts";
import { TakenChanges } from "./taken-changes.ts";

export class ChangedRecords {
  readonly sum = new FingerprintSum();
  /** Each once, in order of its first change. */
  #changed: Recorded[] = [];
  /** Each once: the sum does not say yet what they are. */
  #toBeCounted: Recorded[] = [];
  #range: RecordRange | null = null;

  /** To be called once, before anything changes. */
  include(range: RecordRange): void {
    this.#range = range;
  }

  /** How many have changed since they were last taken. */
  get count(): number {
    return this.#changed.length + (this.#range?.changedCount ?? 0);
  }

  put(record: Recorded): void {
    if (record.noteChange(false)) this.#changed.push(record);
    this.adopt(record);
  }

  remove(record: Recorded): void {
    if (record.noteChange(true)) this.#changed.push(record);
    this.adopt(record);
  }

  /** A record that is durable already, and not yet part of the hash. */
  adopt(record: Recorded): void {
    if (record.noteToBeCounted()) this.#toBeCounted.push(record);
  }

  /** Does a part of the work of `hash` ahead of it. Returns how many records are left. */
  settle(recordsMax: number): number {
    const waiting = this.#toBeCounted;
    let left = recordsMax;
    for (; left > 0 && waiting.length > 0; left -= 1) waiting.pop()?.countIn(this.sum);
    this.#range?.countIn(left);
    return waiting.length + (this.#range?.uncountedCount ?? 0);
  }

  /** 16 hex digits over all records. Costs what has changed since. */
  hash(): string {
    this.settle(Number.MAX_SAFE_INTEGER);
    return this.sum.text();
  }

  /** See RecordRange. Of records with an object of their own everything that changed is told anyway, also of those that came and went. */
  imageReplaced(): void {
    this.#range?.imageReplaced();
  }

  /** All changes at once: a part of them would be a state that never was. They can be read little by little. */
  take(): TakenChanges {
    const changed = this.#changed;
    this.#changed = [];
    return new TakenChanges(changed, this.#range?.take() ?? null);
  }
}
