/**
 * The registry as a state machine: committed entries in, results and events out, and queries on what has been applied.
 *
 * Deterministic: the same entries in the same order make the same state, records and hash on every member. What each command does is in
 * `apply/`, what is kept is in `state.ts`; this is the surface of both.
 */

import { applyEnvelopes, tidy } from "./apply/batch.ts";
import type { Applying } from "./apply/change.ts";
import { firstDue } from "./apply/expire.ts";
import type { CommandBatch, CommandResult, RegistryEvent } from "./commands.ts";
import { selectHistory, type HistoryQuery } from "./history.ts";
import { StateLoading } from "./load.ts";
import { defaultServiceSettings, type Instance, type InstanceKey, type ServiceSettings } from "./model.ts";
import { matches, mismatches } from "./query.ts";
import type { StateChanges, StateRecord } from "./records.ts";
import { RegistryState } from "./state.ts";
import type { TakenChanges } from "./taken-changes.ts";
import type {
  EventsSince,
  HistoryEvent,
  InstanceFilter,
  NamespaceSummary,
  RegistryView,
  ServiceSummary,
} from "./view.ts";

/** What one entry did. */
export interface AppliedBatch {
  /** One for each envelope, in order. */
  readonly results: CommandResult[];
  /** In order of revision, without a gap: the registry's revision has risen by their number. */
  readonly events: RegistryEvent[];
}

export interface RegistryLoading {
  /** Does so many steps, of which each record needs a few. Returns the registry once it is whole; throws as `load` does. */
  next(stepsMax: number): Registry | null;
}

const revisionLeap = 2 ** 40;

export class Registry implements RegistryView {
  readonly #state: RegistryState;

  constructor(state: RegistryState = new RegistryState()) {
    this.#state = state;
  }

  /** Throws when the records do not make a registry: a defect, or a newer release's records. */
  static load(records: Iterable<StateRecord>): Registry {
    const loading = Registry.beginLoading(records);
    for (;;) {
      const registry = loading.next(Infinity);
      if (registry !== null) return registry;
    }
  }

  /** The same, to be done in parts: there may be millions of records. */
  static beginLoading(records: Iterable<StateRecord>): RegistryLoading {
    const loading = new StateLoading(records);
    return {
      next: (stepsMax) => {
        const state = loading.next(stepsMax);
        return state === null ? null : new Registry(state);
      },
    };
  }

  /**
   * Applies one committed entry. Never throws for what a client may have sent; throws an UnknownCommandError for what a newer release
   * has written, and then this member must stop.
   */
  apply(batch: CommandBatch, clusterTime: number): AppliedBatch {
    this.#moveClock(clusterTime);
    const applying: Applying = { state: this.#state, events: [] };
    const results = applyEnvelopes(applying, batch);
    tidy(this.#state);
    return { results, events: applying.events };
  }

  /**
   * Applies an entry that carries no command (clock, election, membership): only time moves. The grace of an election is Raft's to
   * remember; it has no meaning here beyond the time that did not pass.
   */
  advance(clusterTime: number, _grace: boolean): void {
    this.#moveClock(clusterTime);
  }

  /**
   * For a state that may be older than one that clients have seen: raises the revision to the next multiple of 2^40, which no earlier
   * state can have reached, and empties the event window, so that every older cursor gets a snapshot. Services go along, those that are
   * not known too: who waits for one of them to change has seen later changes than it holds, perhaps, and would wait for the next one.
   */
  leapAhead(): void {
    const { counters, events, changed, catalog } = this.#state;
    const revision = (Math.floor(counters.revision / revisionLeap) + 1) * revisionLeap;
    counters.revision = revision;
    counters.forgottenRevision = revision;
    events.clear();
    changed.put(counters);
    for (const service of catalog.services()) {
      service.revision = revision;
      changed.put(service);
    }
  }

  /** Cluster time of the earliest thing that an `expire` entry would act on; null for none. For the leader, which proposes it then. */
  nextDeadline(): number | null {
    return firstDue(this.#state)?.at ?? null;
  }

  /**
   * The records that changed since they were last taken: all of them, to be written as one together with the position applied. A part
   * of them would be a state that never was.
   */
  takeChanges(): StateChanges {
    return this.#state.changed.take().all();
  }

  /** Changes are from now on those of an image that was made by another member, of a state between the last one taken and this one. */
  imageReplaced(): void {
    this.#state.changed.imageReplaced();
  }

  /** The same, to be made in parts: there may be hundreds of thousands. */
  beginTakingChanges(): TakenChanges {
    return this.#state.changed.take();
  }

  /** How many records have changed since they were last taken. */
  get changedCount(): number {
    return this.#state.changed.count;
  }

  get revision(): number {
    return this.#state.counters.revision;
  }

  get clusterTime(): number {
    return this.#state.now;
  }

  get instanceCount(): number {
    return this.#state.leases.count;
  }

  get leaseCount(): number {
    return this.#state.leases.count;
  }

  instance(key: InstanceKey): Instance | null {
    return this.#state.catalog.find(key)?.instance ?? null;
  }

  deadline(key: InstanceKey): number | null {
    const registration = this.#state.catalog.find(key);
    return registration === null ? null : this.#state.leases.dueAt(registration.slot);
  }

  service(namespace: string, service: string): ServiceSummary {
    const known = this.#state.catalog.service(namespace, service);
    return known?.summary() ?? this.#unknownService(namespace, service);
  }

  instances(namespace: string, service: string, filter: InstanceFilter): readonly Instance[] {
    const found: Instance[] = [];
    for (const { instance } of this.#state.catalog.service(namespace, service)?.sorted() ?? []) {
      if (matches(instance, filter)) found.push(instance);
    }
    return found;
  }

  explain(namespace: string, service: string, filter: InstanceFilter): ReturnType<RegistryView["explain"]> {
    const registrations = this.#state.catalog.service(namespace, service)?.sorted() ?? [];
    return registrations.map(({ instance }) => {
      const reasons = mismatches(instance, filter);
      return { id: instance.id, returned: reasons.length === 0, reasons };
    });
  }

  services(
    namespace: string,
    options: { readonly prefix: string; readonly after: string | null; readonly limit: number },
  ): readonly ServiceSummary[] {
    const { prefix, after, limit } = options;
    const found: ServiceSummary[] = [];
    const from = after !== null && after > prefix ? after : prefix;
    for (const service of this.#state.catalog.servicesFrom(namespace, from)) {
      if (found.length >= limit || !service.name.startsWith(prefix)) break;
      if (service.name !== after) found.push(service.summary());
    }
    return found;
  }

  namespaces(): readonly NamespaceSummary[] {
    return this.#state.catalog.namespaces();
  }

  settings(namespace: string, service: string): ServiceSettings {
    return this.#state.catalog.service(namespace, service)?.effectiveSettings ?? defaultServiceSettings;
  }

  history(namespace: string, service: string, options: HistoryQuery): readonly HistoryEvent[] {
    const known = this.#state.catalog.service(namespace, service);
    return known === null ? [] : selectHistory(known.history, options);
  }

  eventsSince(revision: number): EventsSince {
    return this.#state.events.since(revision, this.revision);
  }

  /** Costs what has changed since it, or `settleHash`, was last called; after a load that is everything. */
  stateHash(): string {
    return this.#state.changed.hash();
  }

  /** Does the work of `stateHash` ahead of it, for at most so many records. Returns how many are left. */
  settleHash(recordsMax: number): number {
    return this.#state.changed.settle(recordsMax);
  }

  #unknownService(namespace: string, name: string): ServiceSummary {
    const instances = { total: 0, up: 0, starting: 0, draining: 0, down: 0, suspect: 0 };
    const revision = this.#state.counters.forgottenRevision;
    return { namespace, name, revision, instances, protected: false };
  }

  #moveClock(clusterTime: number): void {
    const { counters, changed } = this.#state;
    if (clusterTime < counters.clusterTime) {
      throw new Error(`cluster time went back from ${counters.clusterTime} to ${clusterTime}`);
    }
    counters.clusterTime = clusterTime;
    changed.put(counters);
  }
}
