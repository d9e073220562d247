/**
 * The window of recent events that watches are served and resumed from: exactly one event for each revision, without a gap.
 *
 * Bounded by number at once and by age at leisure. Both are decided by what is in the log, so that all members keep the same window and
 * a watch may go on at any of them, also after a restart.
 *
 * Because revisions have no gaps and events never change, all that is to be known of them is ranges of revisions: which are in the window,
 * which the image has to gain and to lose, and which are part of the state hash.
 */

import type { RegistryEvent } from "./commands.ts";
import { eventKey, EventPages } from "./event-pages.ts";
import type { Fields } from "./fields.ts";
import { fingerprint, type FingerprintSum } from "./hash.ts";
import { readEvent } from "./instance-codec.ts";
import { type Instance, registryLimits } from "./model.ts";
import type { RangeChanges, RecordRange } from "./records.ts";
import { sortInSteps } from "./sort-in-steps.ts";
import type { EventsSince } from "./view.ts";

/** One event as its record has it, decoded only if nothing else tells what it was. */
interface LoadedEvent {
  readonly revision: number;
  readonly at: number;
  readonly fields: Fields;
  instance: Instance | null;
}

export class EventWindow implements RecordRange {
  readonly #sum: FingerprintSum;
  #pages = EventPages.from(1);
  /** The oldest in the window; the newest is the last in the pages. */
  #first = 1;
  /** The image has those before, as far as they are in the window. */
  #takenTo = 1;
  /** It may have those from `from` up to and without `to`, and has to lose those of them that are before the window. */
  #inImage = { from: 1, to: 1 };
  /** Those before, as far as they are in the window, are part of the hash. */
  #countedTo = 1;
  /** While loading. */
  #loaded: LoadedEvent[] = [];

  constructor(sum: FingerprintSum) {
    this.#sum = sum;
  }

  get count(): number {
    return this.#next - this.#first;
  }

  push(event: RegistryEvent, now: number): void {
    if (event.revision !== this.#next) this.#beginAt(event.revision);
    this.#pages.add(event, now);
    if (this.count > registryLimits.eventsKept) this.#dropOldest();
  }

  /** Lets go of up to `limit` events that are too old. */
  tidy(now: number, limit: number): void {
    for (let i = 0; i < limit && this.count > 0; i += 1) {
      if (this.#pages.timeOf(this.#first) > now - registryLimits.eventsKeptMs) return;
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
    return Array.from({ length: missed }, (_, i) => this.#pages.event(this.#next - missed + i));
  }

  get changedCount(): number {
    return this.#next - this.#untaken + this.#goneTo - this.#inImage.from;
  }

  take(): RangeChanges {
    const goneFrom = this.#inImage.from;
    const goneCount = this.#goneTo - goneFrom;
    const cameFrom = this.#untaken;
    const pages = this.#pages.copy();
    this.#takenTo = this.#next;
    this.#inImage = { from: this.#first, to: this.#next };
    return {
      count: goneCount + pages.next - cameFrom,
      addTo({ puts, deletes }, number) {
        const revision = number < goneCount ? goneFrom + number : cameFrom + number - goneCount;
        if (number < goneCount) deletes.push(eventKey(revision));
        else puts.push([eventKey(revision), pages.recordValue(revision)]);
      },
    };
  }

  imageReplaced(): void {
    this.#inImage = { from: this.#inImage.from, to: this.#next };
  }

  get uncountedCount(): number {
    return this.#next - this.#countedTo;
  }

  countIn(recordsMax: number): void {
    const end = Math.min(this.#next, this.#countedTo + recordsMax);
    for (let revision = this.#countedTo; revision < end; revision += 1) {
      const counted = fingerprint(eventKey(revision), this.#pages.recordValue(revision));
      this.#pages.setFingerprint(revision, counted);
      this.#sum.add(counted);
    }
    this.#countedTo = end;
  }

  /** At load. */
  read(revision: number, fields: Fields): void {
    this.#loaded.push({ revision, at: fields.integer(), fields, instance: null });
  }

  /** At load, when all have been read. */
  sort(): Generator<undefined> {
    return sortInSteps(this.#loaded, (left, right) => left.revision - right.revision);
  }

  /** At load, when they are sorted: the event that made this instance what it is tells of nothing else, and need not be decoded. */
  share(instance: Instance): void {
    const first = this.#loaded[0]?.revision ?? 0;
    const event = this.#loaded[instance.revision - first];
    if (event?.revision === instance.revision) event.instance = instance;
  }

  /** At load, at its end. */
  *loaded(): Generator<undefined> {
    const oldest = this.#loaded[0];
    if (oldest === undefined) return;
    this.#beginAt(oldest.revision);
    for (const { revision, at, fields, instance } of this.#loaded) {
      if (revision !== this.#next) throw new Error(`the event of revision ${this.#next} is missing`);
      if (instance === null) this.#pages.add(decoded(revision, fields), at);
      else this.#pages.addKept(instance, at);
      yield;
    }
    this.#takenTo = this.#next;
    this.#inImage = { from: this.#first, to: this.#next };
    this.#loaded = [];
  }

  get #next(): number {
    return this.#pages.next;
  }

  /** The first in the window that the image does not have. */
  get #untaken(): number {
    return Math.max(this.#takenTo, this.#first);
  }

  get #goneTo(): number {
    const { from, to } = this.#inImage;
    return Math.max(from, Math.min(to, this.#first));
  }

  /** The next event is that of `revision`. What the image has to lose stays to be lost. */
  #beginAt(revision: number): void {
    if (this.count > 0) throw new Error(`revision ${revision} follows ${this.#next - 1}`);
    this.#pages = EventPages.from(revision);
    this.#first = this.#takenTo = this.#countedTo = revision;
    const { from, to } = this.#inImage;
    if (from === to) this.#inImage = { from: revision, to: revision };
  }

  #dropOldest(): void {
    const revision = this.#first;
    this.#first += 1;
    if (revision < this.#countedTo) this.#sum.subtract(this.#pages.fingerprint(revision));
    else this.#countedTo = this.#first;
    this.#pages.dropBefore(this.#first);
  }
}

function decoded(revision: number, fields: Fields): RegistryEvent {
  const event = fields.nested("event", (inner) => readEvent(revision, inner));
  fields.end();
  return event;
}
