/**
 * Builds the state from its records, exactly as it was when they were taken.
 *
 * The records come from our own storage, whose checksums have been verified: what does not fit together here is a defect or a newer
 * release's work, and ends the start.
 */

import { readFields } from "./fields.ts";
import { HistoryLine } from "./history.ts";
import { KeptResult } from "./idempotency.ts";
import { ParkedOverride } from "./parked-overrides.ts";
import type { StateRecord } from "./records.ts";
import { Registration } from "./registration.ts";
import { Service } from "./service.ts";
import { RegistryState } from "./state.ts";

const kindNames = [
  "meta",
  "service",
  "instance",
  "lease-block",
  "event",
  "history",
  "idempotency",
  "override",
] as const;
type Kind = (typeof kindNames)[number];
const kinds: ReadonlySet<Kind> = new Set(kindNames);

/** A record's key without its kind, and its value. */
interface Loaded {
  readonly rest: string;
  readonly value: unknown;
}

type ByKind = Readonly<Record<Kind, Loaded[]>>;

export function loadState(records: Iterable<StateRecord>): RegistryState {
  const state = new RegistryState();
  const byKind = sortByKind(records);
  if (kindNames.every((kind) => byKind[kind].length === 0)) return state;
  loadCounters(state, byKind.meta);
  // Services first, because everything else belongs to one; leases before those who hold them.
  loadServices(state, byKind.service);
  loadHistory(state, byKind.history);
  loadLeases(state, byKind["lease-block"]);
  loadRegistrations(state, byKind.instance);
  loadEvents(state, byKind.event);
  loadKeptResults(state, byKind.idempotency);
  loadParkedOverrides(state, byKind.override);
  state.adoptAll();
  return state;
}

function sortByKind(records: Iterable<StateRecord>): ByKind {
  const byKind: ByKind = {
    meta: [],
    service: [],
    instance: [],
    "lease-block": [],
    event: [],
    history: [],
    idempotency: [],
    override: [],
  };
  for (const [key, value] of records) {
    const slash = key.indexOf("/");
    const kind = slash < 0 ? key : key.slice(0, slash);
    if (!isKind(kind)) throw broken(key, "its kind is unknown; a newer release may have written it");
    byKind[kind].push({ rest: slash < 0 ? "" : key.slice(slash + 1), value });
  }
  return byKind;
}

function isKind(text: string): text is Kind {
  return (kinds as ReadonlySet<string>).has(text);
}

function loadCounters(state: RegistryState, loaded: readonly Loaded[]): void {
  const [only] = loaded;
  if (only === undefined) throw broken("meta", "it is missing");
  readFields(only.value, "meta", (fields) => state.counters.read(fields));
}

function loadServices(state: RegistryState, loaded: readonly Loaded[]): void {
  const services = loaded.map(({ rest, value }) => {
    const [namespace = "", name = ""] = rest.split("/");
    return readFields(value, rest, (fields) => Service.read(namespace, name, fields));
  });
  for (const service of services) state.catalog.add(service);
  const empty = services.filter((service) => service.emptySince !== null);
  empty.sort(
    (left, right) => (left.emptySince ?? 0) - (right.emptySince ?? 0) || left.revision - right.revision,
  );
  for (const service of empty) state.catalog.queueIfEmpty(service);
}

function loadHistory(state: RegistryState, loaded: readonly Loaded[]): void {
  const lines = loaded.map(({ rest, value }) => {
    const [namespace = "", name = "", revision = ""] = rest.split("/");
    return readFields(value, rest, (fields) => HistoryLine.read(namespace, name, Number(revision), fields));
  });
  lines.sort((left, right) => left.event.revision - right.event.revision);
  for (const line of lines)
    serviceFor(state, line.namespace, line.service, line.recordKey).history.push(line);
}

function loadLeases(state: RegistryState, loaded: readonly Loaded[]): void {
  for (const { rest, value } of loaded) {
    readFields(value, `lease-block/${rest}`, (fields) => state.leases.readBlock(Number(rest), fields));
  }
}

function loadRegistrations(state: RegistryState, loaded: readonly Loaded[]): void {
  for (const { rest, value } of loaded) {
    const [namespaceText = "", serviceText = "", id = ""] = rest.split("/");
    const service = serviceFor(state, namespaceText, serviceText, rest);
    const key = { namespace: service.namespace, service: service.name, id };
    const registration = readFields(value, rest, (fields) => Registration.read(key, fields));
    if (!state.leases.adopt(registration)) throw broken(`instance/${rest}`, "its lease belongs to another");
    service.add(registration);
    if (registration.isHeldByProtection) service.heldCount += 1;
    state.noteOverrideEnd(registration);
  }
  state.leases.collectFree();
}

function loadEvents(state: RegistryState, loaded: readonly Loaded[]): void {
  const events = loaded.map(({ rest, value }) => ({ revision: Number(rest), value }));
  events.sort((left, right) => left.revision - right.revision);
  for (const { revision, value } of events) {
    readFields(value, `event/${revision}`, (fields) => state.events.read(revision, fields));
  }
}

function loadKeptResults(state: RegistryState, loaded: readonly Loaded[]): void {
  const kept = loaded.map(({ rest, value }) =>
    readFields(value, `idempotency/${rest}`, (fields) => KeptResult.read(rest, fields)),
  );
  kept.sort((left, right) => left.sequence - right.sequence);
  for (const one of kept) state.keptResults.adopt(one);
}

function loadParkedOverrides(state: RegistryState, loaded: readonly Loaded[]): void {
  const parked = loaded.map(({ rest, value }) =>
    readFields(value, `override/${rest}`, (fields) => ParkedOverride.read(rest, fields)),
  );
  parked.sort((left, right) => left.revision - right.revision);

  for (const one of parked) state.parkedOverrides.adopt(one);
}

function serviceFor(state: RegistryState, namespace: string, name: string, key: string): Service {
  const service = state.catalog.service(namespace, name);
  if (service === null) throw broken(key, "its service has no record");
  return service;
}

function broken(key: string, why: string): Error {
  return new Error(`the state image cannot be read at ${key}: ${why}`);
}
