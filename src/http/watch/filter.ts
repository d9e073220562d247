/** Which services a watch is about. */

import { compareText } from "../../registry/names.ts";
import type { RegistryEvent } from "../../registry/commands.ts";
import type { RegistryView } from "../../registry/view.ts";

/** With neither services nor prefixes: everything in the namespace. Otherwise what is named by either. */
export interface WatchFilter {
  readonly namespace: string;
  readonly services: readonly string[];
  readonly prefixes: readonly string[];
}

/** One text for all ways to write the same filter. */
export function watchFilterKey({ namespace, services, prefixes }: WatchFilter): string {
  return JSON.stringify([namespace, sortedSet(services), sortedSet(prefixes)]);
}

function sortedSet(names: readonly string[]): string[] {
  return [...new Set(names)].sort(compareText);
}

/** True when the filter can name services that do not exist yet. */
export function isOpenEnded(filter: WatchFilter): boolean {
  return filter.prefixes.length > 0 || filter.services.length === 0;
}

export function serviceOf(event: RegistryEvent): { readonly namespace: string; readonly service: string } {
  return event.type === "put" ? event.instance : event;
}

export function matches(filter: WatchFilter, event: RegistryEvent): boolean {
  const { namespace, service } = serviceOf(event);
  if (namespace !== filter.namespace) return false;
  if (filter.services.length === 0 && filter.prefixes.length === 0) return true;
  return filter.services.includes(service) || filter.prefixes.some((prefix) => service.startsWith(prefix));
}

/** How many services are asked of the registry at once. */
const pageSize = 1_000;

/** The services that a snapshot shows, sorted: those named, whether or not they exist, and those that match and are not empty. */
export function servicesIn(registry: RegistryView, filter: WatchFilter): string[] {
  const names = new Set(filter.services);
  const prefixes = filter.prefixes.length > 0 ? filter.prefixes : isOpenEnded(filter) ? [""] : [];
  for (const prefix of prefixes)
    for (const name of listed(registry, filter.namespace, prefix)) names.add(name);
  return [...names].sort(compareText);
}

function* listed(registry: RegistryView, namespace: string, prefix: string): Generator<string> {
  let after: string | null = null;
  for (;;) {
    const page = registry.services(namespace, { prefix, after, limit: pageSize });
    for (const { name, instances } of page) if (instances.total > 0) yield name;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = last.name;
  }
}
