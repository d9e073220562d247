/**
 * Operator's layers whose instance is gone. A layer belongs to an id and not to one registration of it: a process that deregisters and
 * comes back must not shake off what an operator decided about it.
 *
 * Kept for as long as an empty service is remembered, and at most registryLimits.overridesParked of them.
 */

import type { Fields } from "./fields.ts";
import { overrideFields, readOverride } from "./instance-codec.ts";
import { registryLimits, type InstanceKey, type Override } from "./model.ts";
import type { ChangedRecords } from "./changed-records.ts";
import { type FrozenRecord, Recorded } from "./records.ts";
import { keyText } from "./registration.ts";

export class ParkedOverride extends Recorded {
  readonly key: string;
  readonly layer: Override;
  /** Cluster time at which the instance went. */
  readonly parkedAt: number;
  /** The revision at which it went; orders layers of equal time. */
  readonly revision: number;

  constructor(key: string, layer: Override, parkedAt: number, revision: number) {
    super();
    this.key = key;
    this.layer = layer;
    this.parkedAt = parkedAt;
    this.revision = revision;
  }

  override get recordKey(): string {
    return `override/${this.key}`;
  }

  override recordValue(): unknown {
    return [this.parkedAt, this.revision, overrideFields(this.layer)];
  }

  override frozen(): FrozenRecord {
    return this;
  }

  static read(key: string, fields: Fields): ParkedOverride {
    const parkedAt = fields.integer();
    const revision = fields.integer();
    return new ParkedOverride(key, fields.nested("override", readOverride), parkedAt, revision);
  }
}

export class ParkedOverrides {
  readonly #changed: ChangedRecords;
  /** By key; in order of age, because a map keeps the order in which it was filled. */
  readonly #byKey = new Map<string, ParkedOverride>();

  constructor(changed: ChangedRecords) {
    this.#changed = changed;
  }

  park(parked: ParkedOverride): void {
    this.adopt(parked);
    this.#changed.put(parked);
    const oldest = this.#oldest();
    if (this.#byKey.size > registryLimits.overridesParked && oldest !== undefined) this.#drop(oldest);
  }

  /** The layer for an instance that comes back, unless it has ended meanwhile. It is no longer parked then. */
  claim(key: InstanceKey, now: number): Override | null {
    const parked = this.#byKey.get(keyText(key));
    if (parked === undefined) return null;
    this.#drop(parked);
    const { endsAt } = parked.layer;
    const isOver = isTooOld(parked, now) || (endsAt !== null && endsAt <= now);
    return isOver ? null : parked.layer;
  }

  /** At load: in order of (parkedAt, revision). */
  adopt(parked: ParkedOverride): void {
    this.#byKey.set(parked.key, parked);
  }

  /** Lets go of up to `limit` layers that are too old. */
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

  #oldest(): ParkedOverride | undefined {
    return this.#byKey.values().next().value;
  }

  #drop(parked: ParkedOverride): void {
    this.#byKey.delete(parked.key);
    this.#changed.remove(parked);
  }
}

function isTooOld(parked: ParkedOverride, now: number): boolean {
  return parked.parkedAt <= now - registryLimits.emptyServiceKeptMs;
}
