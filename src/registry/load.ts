/**
 * Builds the state from its records, exactly as it was when they were taken.
 *
 * Record by record, in whatever order they come, and keeping none of them: a large state is never in memory twice. What belongs
 * together is joined when all have come.
 *
 * The records come from our own storage, whose checksums have been verified: what does not fit together here is a defect or a newer
 * release's work, and ends the start.
 */

import { Fields, readAll, ValueFields } from "./fields.ts";
import { HistoryLine } from "./history.ts";
import { KeptResult } from "./idempotency.ts";
import { ParkedOverride } from "./parked-overrides.ts";
import type { StateRecord } from "./records.ts";
import { Registration } from "./registration.ts";
import type { Service } from "./service.ts";
import { RegistryState } from "./state.ts";

export function loadState(records: Iterable<StateRecord>): RegistryState {
  const loading = new Loading();
  for (const [key, value] of records) loading.take(key, value);
  return loading.end();
}

class Loading {
  readonly #state = new RegistryState();
  readonly #registrations: Registration[] = [];
  readonly #keptResults: KeptResult[] = [];
  readonly #parkedOverrides: ParkedOverride[] = [];
  /** Services of which another record has told, and their own has not come yet; by what told of them. */
  readonly #expected = new Map<Service, string>();
  readonly #read = new Set<Service>();
  #count = 0;
  #hasCounters = false;

  take(key: string, value: unknown): void {
    const slash = key.indexOf("/");
    const kind = slash < 0 ? key : key.slice(0, slash);
    const rest = slash < 0 ? "" : key.slice(slash + 1);
    this.#count += 1;
    switch (kind) {
      case "meta":
        this.#hasCounters = true;
        return readFields(value, "meta", (fields) => this.#state.counters.read(fields));
      case "service":
        return this.#takeService(rest, value);
      case "history":
        return this.#takeHistory(rest, value);
      case "lease-block":
        return readFields(value, key, (fields) => this.#state.leases.readBlock(Number(rest), fields));
      case "instance":
        return this.#takeInstance(rest, value);
      case "event":
        return this.#state.events.read(Number(rest), fieldsOf(value, key));
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

  end(): RegistryState {
    const state = this.#state;
    if (this.#count === 0) return state;
    if (!this.#hasCounters) throw broken("meta", "it is missing");
    const [unknown] = this.#expected;
    if (unknown !== undefined) throw broken(unknown[1], "its service has no record");
    this.#queueEmptyServices();
    for (const service of this.#read)
      service.history.sort((left, right) => left.event.revision - right.event.revision);
    state.events.sort();
    this.#grantLeases();
    state.events.loaded();
    this.#keptResults.sort((left, right) => left.sequence - right.sequence);
    for (const one of this.#keptResults) state.keptResults.adopt(one);
    this.#parkedOverrides.sort((left, right) => left.revision - right.revision);
    for (const one of this.#parkedOverrides) state.parkedOverrides.adopt(one);
    state.adoptAll();
    return state;
  }

  #takeService(rest: string, value: unknown): void {
    const [namespace = "", name = ""] = rest.split("/");
    const service = this.#state.catalog.ensure(namespace, name);
    readFields(value, rest, (fields) => service.read(fields));
    this.#read.add(service);
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
    const service = this.#state.catalog.ensure(namespace, name);
    if (!this.#read.has(service) && !this.#expected.has(service)) this.#expected.set(service, key);
    return service;
  }

  #queueEmptyServices(): void {
    const empty = [...this.#read].filter((service) => service.emptySince !== null);
    empty.sort(
      (left, right) => (left.emptySince ?? 0) - (right.emptySince ?? 0) || left.revision - right.revision,
    );
    for (const service of empty) this.#state.catalog.queueIfEmpty(service);
  }

  #grantLeases(): void {
    const { leases, events } = this.#state;
    for (const registration of this.#registrations) {
      const { instance } = registration;
      if (!leases.adopt(registration))
        throw broken(
          `instance/${instance.namespace}/${instance.service}/${instance.id}`,
          "its lease belongs to another",
        );
      events.share(instance);
      this.#state.noteOverrideEnd(registration);
    }
    leases.adopted();
  }
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
