/** Where events are kept, by revision: there are as many as instances, or more, so each is a place in dense pages and no object of its own. */

import type { RegistryEvent } from "./commands.ts";
import type { Fingerprint } from "./hash.ts";
import { eventFields } from "./instance-codec.ts";
import type { Instance } from "./model.ts";
import { revisionKey } from "./records.ts";

const eventsPerPage = 8192;

/** A put is kept as the instance that it tells of, which is mostly still registered. */
type KeptEvent = Instance | Exclude<RegistryEvent, { readonly type: "put" }>;

class Page {
  readonly kept: KeptEvent[] = [];
  // One allocation, and a large one: it goes back to the system with the page, and leaves no hole among small ones.
  readonly #numbers = new ArrayBuffer(eventsPerPage * 16);
  /** Cluster time. */
  readonly at = new Float64Array(this.#numbers, 0, eventsPerPage);
  /** With what an event is part of the state hash. */
  readonly low = new Int32Array(this.#numbers, eventsPerPage * 8, eventsPerPage);
  readonly high = new Int32Array(this.#numbers, eventsPerPage * 12, eventsPerPage);
}

export class EventPages {
  #pages: Page[];
  /** The revision of the first place in the first page. */
  #base: number;
  /** The revision after the last one. */
  #next: number;

  constructor(pages: Page[], base: number, next: number) {
    this.#pages = pages;
    this.#base = base;
    this.#next = next;
  }

  /** Pages without an event, the next of which is that of `revision`. */
  static from(revision: number): EventPages {
    return new EventPages([], revision, revision);
  }

  /** Events never change: what this one holds now, whatever is added to it and dropped. */
  copy(): EventPages {
    return new EventPages([...this.#pages], this.#base, this.#next);
  }

  get next(): number {
    return this.#next;
  }

  add(event: RegistryEvent, at: number): void {
    this.addKept(event.type === "put" ? event.instance : event, at);
  }

  addKept(kept: KeptEvent, at: number): void {
    const place = (this.#next - this.#base) % eventsPerPage;
    if (place === 0) this.#pages.push(new Page());
    const page = this.#pageOf(this.#next);
    page.kept.push(kept);
    page.at[place] = at;
    this.#next += 1;
  }

  /** Lets go of what is before `revision`, page by page. */
  dropBefore(revision: number): void {
    while (this.#base + eventsPerPage <= revision) {
      this.#pages.shift();
      this.#base += eventsPerPage;
    }
  }

  event(revision: number): RegistryEvent {
    const kept = this.#pageOf(revision).kept[this.#placeOf(revision)];
    if (kept === undefined) throw missing(revision);
    return "type" in kept ? kept : { type: "put", revision, instance: kept };
  }

  timeOf(revision: number): number {
    return this.#pageOf(revision).at[this.#placeOf(revision)] ?? 0;
  }

  fingerprint(revision: number): Fingerprint {
    const page = this.#pageOf(revision);
    const place = this.#placeOf(revision);
    return { low: page.low[place] ?? 0, high: page.high[place] ?? 0 };
  }

  setFingerprint(revision: number, { low, high }: Fingerprint): void {
    const page = this.#pageOf(revision);
    const place = this.#placeOf(revision);
    page.low[place] = low;
    page.high[place] = high;
  }

  recordValue(revision: number): unknown {
    return [this.timeOf(revision), eventFields(this.event(revision))];
  }

  #placeOf(revision: number): number {
    return (revision - this.#base) % eventsPerPage;
  }

  #pageOf(revision: number): Page {
    const page = this.#pages[Math.floor((revision - this.#base) / eventsPerPage)];
    if (page === undefined) throw missing(revision);
    return page;
  }
}

export function eventKey(revision: number): string {
  return `event/${revisionKey(revision)}`;
}

function missing(revision: number): Error {
  return new Error(`no event of revision ${revision} is kept`);
}
