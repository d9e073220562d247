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

import { fingerprint, FingerprintSum } from "./hash.ts";

/** One durable record; structurally the driver's StateRecord. */
export type StateRecord = readonly [key: string, value: unknown];

export interface StateChanges {
  readonly puts: StateRecord[];
  readonly deletes: string[];
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

/** The records that changed since they were last taken, and the hash over all of them. */
export class ChangedRecords {
  /** Each once, in order of its first change. */
  #changed: Recorded[] = [];
  /** Each once: the sum does not say yet what they are. */
  #toBeCounted: Recorded[] = [];
  readonly #sum = new FingerprintSum();

  /** How many have changed since they were last taken. */
  get count(): number {
    return this.#changed.length;
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
    const end = Math.max(0, this.#toBeCounted.length - recordsMax);
    for (const record of this.#toBeCounted.splice(end)) record.countIn(this.#sum);
    return this.#toBeCounted.length;
  }

  /** 16 hex digits over all records. Costs what has changed since. */
  hash(): string {
    this.settle(Number.MAX_SAFE_INTEGER);
    return this.#sum.text();
  }

  /** All changes at once: a part of them would be a state that never was. */
  take(): StateChanges {
    // Of several under one key (an instance that went and came back) the last has come last, and it alone counts.
    const byKey = new Map<string, Recorded>();
    for (const record of this.#changed) {
      record.noteTaken();
      byKey.set(record.recordKey, record);
    }
    this.#changed = [];
    const changes: StateChanges = { puts: [], deletes: [] };
    for (const [key, record] of byKey) {
      if (record.isRemoved) changes.deletes.push(key);
      else changes.puts.push([key, record.recordValue()]);
    }
    return changes;
  }
}

/** A revision as part of a key: keys in order of text are in order of revision. */
export function revisionKey(revision: number): string {
  return String(revision).padStart(16, "0");
}
