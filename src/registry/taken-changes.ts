/**
 * Everything that changed up to one moment, as it was then. Taking it costs little; making records of it costs a hundred times as much, and
 * after a long replay there are hundreds of thousands: so that can be done in parts, while the state goes on to change.
 */

import type { FrozenRecord, RangeChanges, Recorded, StateChanges } from "./records.ts";

interface Taken {
  readonly record: FrozenRecord;
  readonly isRemoved: boolean;
}

export class TakenChanges {
  readonly #taken: Taken[];
  readonly #range: RangeChanges | null;
  /** Of several under one key (an instance that went and came back) the last has come last, and it alone counts. */
  readonly #byKey = new Map<string, Taken>();
  readonly #changes: StateChanges = { puts: [], deletes: [] };
  #keyed = 0;
  #entries: Iterator<[string, Taken]> | null = null;
  #ranged = 0;

  constructor(changed: readonly Recorded[], range: RangeChanges | null) {
    this.#taken = changed.map((record) => {
      record.noteTaken();
      const { isRemoved } = record;
      return { record: isRemoved ? record : record.frozen(), isRemoved };
    });
    this.#range = range;
  }

  /** All that has not been read yet, at once. */
  all(): StateChanges {
    this.next(Infinity);
    return this.#changes;
  }

  /** Does a part of the work, of which each record needs two steps at most. Returns the changes once all are made. */
  next(stepsMax: number): StateChanges | null {
    let left = stepsMax;
    for (; left > 0 && this.#keyed < this.#taken.length; left -= 1) this.#key();
    if (this.#keyed < this.#taken.length) return null;
    this.#entries ??= this.#byKey[Symbol.iterator]();
    for (; left > 0; left -= 1) {
      const next = this.#entries.next();
      if (next.done === true) break;
      this.#add(...next.value);
    }
    for (; left > 0 && this.#ranged < this.#rangeCount; left -= 1) {
      this.#range?.addTo(this.#changes, this.#ranged);
      this.#ranged += 1;
    }
    return left > 0 ? this.#changes : null;
  }

  get #rangeCount(): number {
    return this.#range?.count ?? 0;
  }

  #key(): void {
    const taken = this.#taken[this.#keyed];
    this.#keyed += 1;
    if (taken !== undefined) this.#byKey.set(taken.record.recordKey, taken);
  }

  #add(key: string, { record, isRemoved }: Taken): void {
    if (isRemoved) this.#changes.deletes.push(key);
    else this.#changes.puts.push([key, record.recordValue()]);
  }
}
