/**
 * The window of recent events that watches are served and resumed from: exactly one event for each revision, without a gap.
 *
 * Bounded by number at once and by age at leisure. Both are decided by what is in the log, so that all members keep the same window and
 * a watch may go on at any of them, also after a restart.
 */

import type { RegistryEvent } from "./commands.ts";
import type { Fields } from "./fields.ts";
import { eventFields, readEvent } from "./instance-codec.ts";
import { type Instance, registryLimits } from "./model.ts";
import { Recorded, revisionKey, type ChangedRecords } from "./records.ts";
import type { EventsSince } from "./view.ts";

class EventRecord extends Recorded {
  event: RegistryEvent;
  /** Cluster time. */
  readonly at: number;

  constructor(event: RegistryEvent, at: number) {
    super();
    this.event = event;
    this.at = at;
  }

  override get recordKey(): string {
    return `event/${revisionKey(this.event.revision)}`;
  }

  override recordValue(): unknown {
    return [this.at, eventFields(this.event)];
  }
}

export class EventWindow {
  readonly #changed: ChangedRecords;
  #records: EventRecord[] = [];
  /** Where the window begins in `#records`; what is before it has left and is swept away now and then. */
  #start = 0;

  constructor(changed: ChangedRecords) {
    this.#changed = changed;
  }

  get count(): number {
    return this.#records.length - this.#start;
  }

  push(event: RegistryEvent, now: number): void {
    const record = new EventRecord(event, now);
    this.#records.push(record);
    this.#changed.put(record);
    if (this.count > registryLimits.eventsKept) this.#dropOldest();
  }

  /** Lets go of up to `limit` events that are too old. */
  tidy(now: number, limit: number): void {
    for (let i = 0; i < limit; i += 1) {
      const oldest = this.#records[this.#start];
      if (oldest === undefined || oldest.at > now - registryLimits.eventsKeptMs) return;
      this.#dropOldest();
    }
  }

  /** Forgets all events: nobody can go on from before. */
  clear(): void {
    while (this.count > 0) this.#dropOldest();
  }

  /** @param newest The registry's revision: that of the newest event, also when the window is empty. */
  since(revision: number, newest: number): EventsSince {
    if (revision >= newest) return [];
    const missed = newest - revision;
    if (missed > this.count) return null;
    return this.#records.slice(this.#records.length - missed).map((record) => record.event);
  }

  *records(): Generator<Recorded> {
    for (let i = this.#start; i < this.#records.length; i += 1) {
      const record = this.#records[i];
      if (record !== undefined) yield record;
    }
  }

  /** At load. */
  read(revision: number, fields: Fields): void {
    const at = fields.integer();
    const event = fields.nested("event", (inner) => readEvent(revision, inner));
    this.#records.push(new EventRecord(event, at));
  }

  /** At load, when all have been read. */
  sort(): void {
    this.#records.sort((left, right) => left.event.revision - right.event.revision);
  }

  /** At load, when they are sorted: the event that made this instance what it is holds the same object, and not a copy of it. */
  share(instance: Instance): void {
    const first = this.#records[0]?.event.revision ?? 0;
    const record = this.#records[instance.revision - first];
    const event = record?.event;
    if (record === undefined || event?.type !== "put" || event.revision !== instance.revision) return;
    record.event = { type: "put", revision: instance.revision, instance };
  }

  #dropOldest(): void {
    const oldest = this.#records[this.#start];
    if (oldest === undefined) return;
    this.#changed.remove(oldest);
    this.#start += 1;
    if (this.#start < 1024 || this.#start * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#start);
    this.#start = 0;
  }
}
