/**
 * Namespaces, and the services that are known in them: those with instances, those that became empty lately, and those with settings
 * of their own.
 */

import type { Instance, InstanceKey } from "./model.ts";
import type { Registration } from "./registration.ts";
import { Service } from "./service.ts";
import { SortedCache } from "./sorted-cache.ts";
import { compareText } from "./names.ts";
import type { NamespaceSummary } from "./view.ts";

class Namespace {
  readonly services = new Map<string, Service>();
  readonly sorted = new SortedCache<Service>((service) => service.name);
}

export class Catalog {
  readonly #namespaces = new Map<string, Namespace>();
  /** Services to be forgotten, in the order in which they became empty. */
  readonly #empty = new Set<Service>();

  service(namespace: string, name: string): Service | null {
    return this.#namespaces.get(namespace)?.services.get(name) ?? null;
  }

  /** The service of an instance that is registered. */
  serviceOf(instance: Instance): Service {
    const service = this.service(instance.namespace, instance.service);
    if (service === null) {
      throw new Error(`no service for the registered instance ${instance.service}/${instance.id}`);
    }
    return service;
  }

  find(key: InstanceKey): Registration | null {
    return this.service(key.namespace, key.service)?.find(key.id) ?? null;
  }

  ensure(namespace: string, name: string): Service {
    const known = this.service(namespace, name);
    if (known !== null) return known;
    const service = new Service(namespace, name);
    this.add(service);
    return service;
  }

  add(service: Service): void {
    let namespace = this.#namespaces.get(service.namespace);
    if (namespace === undefined) {
      namespace = new Namespace();
      this.#namespaces.set(service.namespace, namespace);
    }
    namespace.services.set(service.name, service);
    namespace.sorted.added(service);
  }

  forget(service: Service): void {
    this.#empty.delete(service);
    const namespace = this.#namespaces.get(service.namespace);
    if (namespace === undefined) return;
    namespace.services.delete(service.name);
    namespace.sorted.removed(service);
    if (namespace.services.size === 0) this.#namespaces.delete(service.namespace);
  }

  /**
   * To be called after every change of the service: notes since when it is empty. Its place in the queue is that of its last change.
   * A service with settings of its own is what an operator said, not what a client left behind: it is never forgotten.
   */
  noteEmptiness(service: Service, now: number): void {
    this.#empty.delete(service);
    service.emptySince = service.instanceCount === 0 ? now : null;
    this.queueIfEmpty(service);
  }

  /** At load: in order of (emptySince, revision). */
  queueIfEmpty(service: Service): void {
    if (service.emptySince !== null && service.settings === null) this.#empty.add(service);
  }

  /** The service that has been empty for longest. */
  oldestEmpty(): Service | null {
    return this.#empty.values().next().value ?? null;
  }

  /** Sorted by name, from the first one that is not below `from`. */
  *servicesFrom(namespace: string, from: string): Generator<Service> {
    const found = this.#namespaces.get(namespace);
    if (found === undefined) return;
    const sorted = found.sorted.values(found.services.values());
    for (let i = found.sorted.position(sorted, from); i < sorted.length; i += 1) {
      const service = sorted[i];
      if (service !== undefined) yield service;
    }
  }

  *services(): Generator<Service> {
    for (const namespace of this.#namespaces.values()) yield* namespace.services.values();
  }

  namespaces(): readonly NamespaceSummary[] {
    const summaries = [...this.#namespaces].map(([name, { services }]) => {
      let instances = 0;
      for (const service of services.values()) instances += service.instanceCount;
      return { name, services: services.size, instances };
    });
    return summaries.sort((left, right) => compareText(left.name, right.name));
  }
}
