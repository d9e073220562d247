/**
 * Builds the state from its records, exactly as it was when they were taken.
 *
 * Record by record, in whatever order they come, and keeping none of them: a large state is never in memory twice. What belongs
 * together is joined when all have come. All of it goes in small steps, so that whoever loads a large state can do other things in between.
 *
 * The records come from our own storage, whose checksums have been verified: what does not fit together here is a defect or a newer
 * release's work, and ends the start.
 */

import { Fields, readAll, ValueFields } from "./fields.ts";
import { HistoryLine } from "./history.ts";
import { KeptResult } from "./idempotency.ts";
import { compareText } from "./names.ts";
import { ParkedOverride } from "./parked-overrides.ts";
import type { StateRecord } from "./records.ts";
import { Registration } from "./registration.ts";
import type { Service } from "./service.ts";
import { sortInSteps } from "./sort-in-steps.ts";
import { RegistryState } from "./state.ts";

/** The state that records make, built a part at a time. */
export class StateLoading {
  readonly #phases: Iterator<Iterator<undefined>, RegistryState>;
  #phase: Iterator<undefined> = [].values();

  constructor(records: Iterable<StateRecord>) {
    this.#phases = phasesOf(records);
  }

  /** Does so many steps, of which each costs what one record costs, or less. Returns the state once it is whole. */
  next(stepsMax: number): RegistryState | null {
    for (let left = stepsMax; left > 0; left -= 1) {
      if (this.#phase.next().done !== true) continue;
      const phase = this.#phases.next();
      if (phase.done === true) return phase.value;
      this.#phase = phase.value;
    }
    return null;
  }
}

function* phasesOf(records: Iterable<StateRecord>): Generator<Iterator<undefined>, RegistryState> {
  const loading = new Loading();
  yield loading.takeAll(records);
  yield* loading.join();
  return loading.state;
}

class Loading {
  readonly state = new RegistryState();
  readonly #registrations: Registration[] = [];
  readonly #keptResults: KeptResult[] = [];
  readonly #parkedOverrides: ParkedOverride[] = [];
  /** Services of which another record has told, and their own has not come yet; by what told of them. */
  readonly #expected = new Map<Service, string>();
  readonly #read = new Set<Service>();
  readonly #empty: Service[] = [];
  #count = 0;
  #hasCounters = false;

  *takeAll(records: Iterable<StateRecord>): Generator<undefined> {
    for (const [key, value] of records) {
      this.#take(key, value);
      yield;
    }
  }

  /** What is to be done when all records have come, one part after the other. */
  *join(): Generator<Iterator<undefined>> {
    const { state } = this;
    if (this.#count === 0) return;
    this.#mustBeWhole();
    yield this.#sortHistories();
    yield sortInSteps(this.#empty, byEmptiness);
    yield eachOf(this.#empty, (service) => state.catalog.queueIfEmpty(service));
    yield state.events.sort();
    yield eachOf(this.#registrations, (registration) => this.#grantLease(registration));
    yield state.leases.adopted();
    yield state.events.loaded();
    yield sortInSteps(this.#keptResults, (left, right) => left.sequence - right.sequence);
    yield eachOf(this.#keptResults, (kept) => state.keptResults.adopt(kept));
    yield sortInSteps(this.#parkedOverrides, (left, right) => left.revision - right.revision);
    yield eachOf(this.#parkedOverrides, (parked) => state.parkedOverrides.adopt(parked));
    yield state.adoptAll();
  }

  #take(key: string, value: unknown): void {
    const slash = key.indexOf("/");
    const kind = slash < 0 ? key : key.slice(0, slash);
    const rest = slash < 0 ? "" : key.slice(slash + 1);
    this.#count += 1;
    switch (kind) {
      case "meta":
        this.#hasCounters = true;
        return readFields(value, "meta", (fields) => this.state.counters.read(fields));
      case "service":
        return this.#takeService(rest, value);
      case "history":
        return this.#takeHistory(rest, value);
      case "lease-block":
        return readFields(value, key, (fields) => this.state.leases.readBlock(Number(rest), fields));
      case "instance":
        return this.#takeInstance(rest, value);
      case "event":
        return this.state.events.read(Number(rest), fieldsOf(value, key));
      case "idempotency":
        this.#keptResults.push(readFields(value, key, (fields) => KeptResult.read(rest, fields)));
        return;
      case "override":
        this.#parkedOverrides.push(readFields(value, key, (fields) => ParkedOverride.read(rest, fields)));
        return;
      default:
        throw broken(key, "its kind is unknown; a newer release may have written it");
    }
  }

  #mustBeWhole(): void {
    if (!this.#hasCounters) throw broken("meta", "it is missing");
    const [unknown] = this.#expected;
    if (unknown !== undefined) throw broken(unknown[1], "its service has no record");
  }

  #takeService(rest: string, value: unknown): void {
    const [namespace = "", name = ""] = rest.split("/");
    const service = this.state.catalog.ensure(namespace, name);
    readFields(value, rest, (fields) => service.read(fields));
    this.#read.add(service);
    if (service.emptySince !== null) this.#empty.push(service);
    this.#expected.delete(service);
  }

  #takeHistory(rest: string, value: unknown): void {
    const [namespace = "", name = "", revision = ""] = rest.split("/");
    const service = this.#serviceOf(namespace, name, `history/${rest}`);
    const line = readFields(value, rest, (fields) =>
      HistoryLine.read(service.namespace, service.name, Number(revision), fields),
    );
    service.history.push(line);
  }

  #takeInstance(rest: string, value: unknown): void {
    const [namespace = "", name = "", id = ""] = rest.split("/");
    const service = this.#serviceOf(namespace, name, `instance/${rest}`);
    const key = { namespace: service.namespace, service: service.name, id: copyOf(id) };
    const registration = readFields(value, rest, (fields) => Registration.read(key, fields));
    service.add(registration);
    if (registration.isHeldByProtection) service.heldCount += 1;
    this.#registrations.push(registration);
  }

  #serviceOf(namespace: string, name: string, key: string): Service {
    const service = this.state.catalog.ensure(namespace, name);
    if (!this.#read.has(service) && !this.#expected.has(service)) this.#expected.set(service, key);
    return service;
  }

  *#sortHistories(): Generator<undefined> {
    for (const { history } of this.#read) {
      history.sort((left, right) => left.event.revision - right.event.revision);
      yield;
    }
  }

  #grantLease(registration: Registration): void {
    const { leases, events } = this.state;
    const { instance } = registration;
    if (!leases.adopt(registration))
      throw broken(
        `instance/${instance.namespace}/${instance.service}/${instance.id}`,
        "its lease belongs to another",
      );
    events.share(instance);
    this.state.noteOverrideEnd(registration);
  }
}

function* eachOf<Item>(items: Iterable<Item>, work: (item: Item) => void): Generator<undefined> {
  for (const item of items) {
    work(item);
    yield;
  }
}

/** Revisions are equal only after a leap; then any order will do that is the same on all members. */
function byEmptiness(left: Service, right: Service): number {
  return (
    (left.emptySince ?? 0) - (right.emptySince ?? 0) ||
    left.revision - right.revision ||
    compareText(left.recordKey, right.recordKey)
  );
}

/** Reads all fields of a record's value, which comes decoded or as fields that are still packed. */
function readFields<Value>(value: unknown, what: string, read: (fields: Fields) => Value): Value {
  return readAll(fieldsOf(value, what), read);
}

function fieldsOf(value: unknown, what: string): Fields {
  return value instanceof Fields ? value : new ValueFields(value, what);
}

/** A part of a key that is kept would keep all of the key. */
function copyOf(text: string): string {
  const codes: number[] = [];
  for (let i = 0; i < text.length; i += 1) codes.push(text.charCodeAt(i));
  return String.fromCharCode(...codes);
}

function broken(key: string, why: string): Error {
  return new Error(`the state image cannot be read at ${key}: ${why}`);
}
