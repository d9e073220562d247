/**
 * Results of writes that carried a key, so that a repeat gets the first result instead of a second effect.
 *
 * Kept for registryLimits.idempotencyMs of cluster time, and at most registryLimits.idempotencyKeys of them; a batch counts as many as
 * it has operations, because that is what it costs to keep. Together they take at most registryLimits.idempotencyBytes.
 */

import type { Command, CommandResult } from "./commands.ts";
import { commandToArray } from "./command-codec.ts";
import type { Fields } from "./fields.ts";
import { fingerprint, fingerprintText } from "./hash.ts";
import { registryLimits } from "./model.ts";
import type { ChangedRecords } from "./changed-records.ts";
import { type FrozenRecord, Recorded } from "./records.ts";
import { resultBytes } from "./result-bytes.ts";
import { readResult, resultToArray } from "./result-codec.ts";

/** A kept result's own objects, its place in the map, and its fingerprint. */
const keptBytes = 256;

export class KeptResult extends Recorded {
  readonly key: string;
  /** Orders results of equal time. */
  readonly sequence: number;
  /** Cluster time of the write. */
  readonly at: number;
  /** Of the command that the key came with first. */
  readonly fingerprint: string;
  readonly result: CommandResult;

  constructor(fields: {
    readonly key: string;
    readonly sequence: number;
    readonly at: number;
    readonly fingerprint: string;
    readonly result: CommandResult;
  }) {
    super();
    this.key = fields.key;
    this.sequence = fields.sequence;
    this.at = fields.at;
    this.fingerprint = fields.fingerprint;
    this.result = fields.result;
  }

  get weight(): number {
    const { result } = this;
    return result.ok && result.kind === "batch" ? Math.max(1, result.results.length) : 1;
  }

  /** Of its texts and of about what holds them together. The same on every member, and after a restart. */
  get bytes(): number {
    return keptBytes + this.key.length + resultBytes(this.result);
  }

  override get recordKey(): string {
    return `idempotency/${this.key}`;
  }

  override recordValue(): unknown {
    return [this.sequence, this.at, this.fingerprint, resultToArray(this.result)];
  }

  override frozen(): FrozenRecord {
    return this;
  }

  static read(key: string, fields: Fields): KeptResult {
    return new KeptResult({
      key,
      sequence: fields.integer(),
      at: fields.integer(),
      fingerprint: fields.text(),
      result: fields.nested("result", readResult),
    });
  }
}

export class KeptResults {
  readonly #changed: ChangedRecords;
  /** By key; in order of age, because a map keeps the order in which it was filled. */
  readonly #byKey = new Map<string, KeptResult>();
  #weight = 0;
  #bytes = 0;

  constructor(changed: ChangedRecords) {
    this.#changed = changed;
  }

  find(key: string, now: number): KeptResult | null {
    const kept = this.#byKey.get(key);
    return kept === undefined || isTooOld(kept, now) ? null : kept;
  }

  keep(kept: KeptResult): void {
    const replaced = this.#byKey.get(kept.key);
    if (replaced !== undefined) this.#drop(replaced);
    this.adopt(kept);
    this.#changed.put(kept);
    const { idempotencyKeys, idempotencyBytes } = registryLimits;
    while (this.#weight > idempotencyKeys || this.#bytes > idempotencyBytes) {
      const oldest = this.#oldest();
      if (oldest === undefined || oldest === kept) return;
      this.#drop(oldest);
    }
  }

  /** At load: in order of sequence. */
  adopt(kept: KeptResult): void {
    this.#byKey.set(kept.key, kept);
    this.#weight += kept.weight;
    this.#bytes += kept.bytes;
  }

  /** Lets go of up to `limit` results that are too old. */
  tidy(now: number, limit: number): void {
    for (let i = 0; i < limit; i += 1) {
      const oldest = this.#oldest();
      if (oldest === undefined || !isTooOld(oldest, now)) return;
      this.#drop(oldest);
    }
  }

  records(): Iterable<Recorded> {
    return this.#byKey.values();
  }

  #oldest(): KeptResult | undefined {
    return this.#byKey.values().next().value;
  }

  #drop(kept: KeptResult): void {
    this.#byKey.delete(kept.key);
    this.#weight -= kept.weight;
    this.#bytes -= kept.bytes;
    this.#changed.remove(kept);
  }
}

/** Tells a repeat from another command under the same key. */
export function commandFingerprint(command: Command): string {
  return fingerprintText(fingerprint(command.kind, commandToArray(command)));
}

function isTooOld(kept: KeptResult, now: number): boolean {
  return kept.at <= now - registryLimits.idempotencyMs;
}
