/**
 * What of the registry is durable, and which of it changed. Everything replicated is in exactly one record, so the records are the
 * state: a registry loaded from them is equal to the one that they were taken from, and the state hash is the sum over them.
 *
 * | Key | Holds |
 * |---|---|
 * | `meta` | counters: revision, cluster time, connections, the event window's start, ... |
 * | `service/<namespace>/<service>` | revision, settings, the protection window |
 * | `instance/<namespace>/<service>/<id>` | a registration without its lease |
 * | `lease-block/<n>` | the leases of slots 256n to 256n+255 |
 * | `event/<revision>` | one visible change, for watches |
 * | `history/<namespace>/<service>/<revision>` | one line of a service's history |
 * | `idempotency/<key>` | the result of a write that may be repeated |
 * | `override/<namespace>/<service>/<id>` | the operator's layer of an instance that is gone |
 */

import { fingerprint, type FingerprintSum } from "./hash.ts";

/** One durable record; structurally the driver's StateRecord. */
export type StateRecord = readonly [key: string, value: unknown];

export interface StateChanges {
  readonly puts: StateRecord[];
  readonly deletes: string[];
}

/** A record as it was when the changes were taken, to be read later. */
export interface FrozenRecord {
  readonly recordKey: string;
  recordValue(): unknown;
}

/** Bits of a record. */
const flag = { toBeCounted: 1, counted: 2, listed: 4, removed: 8 } as const;

/** Something that is kept as one record. Its value is read when the change is taken, so that changes in between cost nothing. */
export abstract class Recorded {
  // There are millions of these: two whole numbers and a few bits, in place of an object and four booleans.
  /** Its fingerprint as it is in the state hash, while it is in it. */
  #low = 0;
  #high = 0;
  #flags = 0;

  abstract get recordKey(): string;
  /** Arrays, strings, whole numbers, booleans and null. */
  abstract recordValue(): unknown;

  /** What it is now, whatever becomes of it. What never changes is its own; what is large gives the parts that its value is made of. */
  frozen(): FrozenRecord {
    const value = this.recordValue();
    return { recordKey: this.recordKey, recordValue: () => value };
  }

  get isRemoved(): boolean {
    return (this.#flags & flag.removed) !== 0;
  }

  /** Notes a change. Returns whether it is the first since the changes were taken. */
  noteChange(isRemoved: boolean): boolean {
    const isFirst = (this.#flags & flag.listed) === 0;
    this.#flags = (this.#flags & ~flag.removed) | flag.listed | (isRemoved ? flag.removed : 0);
    return isFirst;
  }

  noteTaken(): void {
    this.#flags &= ~flag.listed;
  }

  /** Notes that the state hash has to follow. Returns whether that is news. */
  noteToBeCounted(): boolean {
    const isNews = (this.#flags & flag.toBeCounted) === 0;
    this.#flags |= flag.toBeCounted;
    return isNews;
  }

  /** Brings the sum up to date with what this record is now. */
  countIn(sum: FingerprintSum): void {
    if ((this.#flags & flag.counted) !== 0) sum.subtract({ low: this.#low, high: this.#high });
    this.#flags &= ~(flag.toBeCounted | flag.counted);
    if (this.isRemoved) return;
    const counted = fingerprint(this.recordKey, this.recordValue());
    this.#low = counted.low;
    this.#high = counted.high;
    this.#flags |= flag.counted;
    sum.add(counted);
  }
}

/** Records that never change, and of which there are so many that none has an object of its own. */
export interface RecordRange {
  /** How many came or went since they were last taken. */
  readonly changedCount: number;
  /** They are taken now, and read later. */
  take(): RangeChanges;
  /** Another member's image took the place of the one that changes were taken for: it may have what has never been taken here. */
  imageReplaced(): void;
  /** How many the sum does not hold yet. Those that go leave it at once. */
  readonly uncountedCount: number;
  /** Adds up to so many of them. */
  countIn(recordsMax: number): void;
}

/** What came and what went, one number after the other, whatever happens to the range in the meantime. */
export interface RangeChanges {
  readonly count: number;
  addTo(changes: StateChanges, number: number): void;
}

/** A revision as part of a key: keys in order of text are in order of revision. */
export function revisionKey(revision: number): string {
  return String(revision).padStart(16, "0");
}
