/**
 * The instances of one service as far as this client knows them, kept by events or by whole lists. Pure: no time, no network.
 */

import type { Instance, InstanceFilter, WatchEvent } from "./types.ts";

export class InstanceSet {
  readonly #service: string;
  #byId = new Map<string, Instance>();
  #revision = 0;

  constructor(service: string) {
    this.#service = service;
  }

  /** The revision up to which everything is in here; where a watch resumes. 0 before the first list. */
  get revision(): number {
    return this.#revision;
  }

  /** In order of id. */
  get all(): readonly Instance[] {
    return [...this.#byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @returns Whether the instances changed. */
  apply(event: WatchEvent): boolean {
    // An event that is already in here came twice: the stream was resumed at a member that sent more than was asked for.
    if (event.type !== "snapshot" && event.revision < this.#revision) return false;
    this.#revision = event.revision;
    switch (event.type) {
      case "snapshot":
        return this.replace(event.services[this.#service] ?? [], event.revision);
      case "put":
        if (event.instance.service !== this.#service) return false;
        this.#byId.set(event.instance.id, event.instance);
        return true;
      case "delete":
        return event.service === this.#service && this.#byId.delete(event.id);
      case "service":
      case "sync":
        return false;
    }
  }

  /** A whole list took the place of what was known. */
  replace(instances: readonly Instance[], revision: number): boolean {
    const before = this.#byId;
    this.#byId = new Map(instances.map((instance) => [instance.id, instance]));
    this.#revision = revision;
    if (before.size !== this.#byId.size) return true;
    return instances.some(
      (instance) =>
        before.get(instance.id)?.revision !== instance.revision ||
        before.get(instance.id)?.suspect !== instance.suspect,
    );
  }
}

/** The same conditions that the registry applies to discovery. */
export function matches(instance: Instance, filter: InstanceFilter): boolean {
  const status = filter.status ?? ["up"];
  if (status !== "any" && !status.includes(instance.status)) return false;
  if (filter.version !== undefined && instance.version !== filter.version) return false;
  if (filter.zone !== undefined && instance.zone !== filter.zone) return false;
  if (!(filter.tags ?? []).every((tag) => instance.tags.includes(tag))) return false;
  return Object.entries(filter.metadata ?? {}).every(([key, value]) => instance.metadata[key] === value);
}
