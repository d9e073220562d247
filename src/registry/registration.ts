/**
 * What the state machine holds for one registered instance beside what everybody sees of it.
 */

import type { Fields } from "./fields.ts";
import { instanceFields, readInstance } from "./instance-codec.ts";
import type { Instance, InstanceKey } from "./model.ts";
import { type FrozenRecord, Recorded } from "./records.ts";

/** Why an instance is listed as suspect. Its slot's deadline is then the time at which it goes unless it shows life. */
export interface Suspicion {
  /** `presence`: its connection broke. `protection`: it is overdue, and too many of its service went before it. */
  readonly cause: "presence" | "protection";
  /** Cluster time of its last renewal, which the deadline no longer tells. */
  readonly lastRenewal: number;
}

export class Registration extends Recorded {
  /** Replaced as a whole at every visible change, so that answers and events may keep the old one. */
  instance: Instance;
  /** Where its lease is kept. */
  readonly slot: number;
  /** The number of the connection that it hangs on; 0 for none. */
  connection = 0;
  suspicion: Suspicion | null = null;

  constructor(instance: Instance, slot: number) {
    super();
    this.instance = instance;
    this.slot = slot;
  }

  get isHeldByProtection(): boolean {
    return this.suspicion?.cause === "protection";
  }

  override get recordKey(): string {
    return `instance/${keyText(this.instance)}`;
  }

  override recordValue(): unknown {
    const suspicion = this.suspicion;
    return [
      this.slot,
      this.connection,
      suspicion === null ? null : [suspicion.cause, suspicion.lastRenewal],
      instanceFields(this.instance),
    ];
  }

  /** Its parts are never changed, only replaced. */
  override frozen(): FrozenRecord {
    const copy = new Registration(this.instance, this.slot);
    copy.connection = this.connection;
    copy.suspicion = this.suspicion;
    return copy;
  }

  static read(key: InstanceKey, fields: Fields): Registration {
    const slot = fields.integer();
    const connection = fields.integer();
    const suspicion = fields.nestedOrNull("suspicion", readSuspicion);
    const registration = new Registration(
      fields.nested("instance", (inner) => readInstance(key, inner)),
      slot,
    );
    registration.connection = connection;
    registration.suspicion = suspicion;
    return registration;
  }
}

function readSuspicion(fields: Fields): Suspicion {
  return { cause: fields.oneOf(["presence", "protection"]), lastRenewal: fields.integer() };
}

/** Unique, because names hold no `/`. */
export function keyText(key: InstanceKey): string {
  return `${key.namespace}/${key.service}/${key.id}`;
}
