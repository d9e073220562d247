/** Addresses of the HTTP API: which path and query string a call has. */

import type { DiscoverQuery, WatchQuery } from "./types.ts";

export interface InstanceName {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
}

export function servicesPath(namespace: string): string {
  return namespace === "default"
    ? "/v1/services"
    : `/v1/namespaces/${encodeURIComponent(namespace)}/services`;
}

export function instancesPath(namespace: string, service: string): string {
  return `${servicesPath(namespace)}/${encodeURIComponent(service)}/instances`;
}

export function instancePath(name: InstanceName): string {
  return `${instancesPath(name.namespace, name.service)}/${encodeURIComponent(name.id)}`;
}

type Parameter = string | number | readonly string[] | undefined;

/** Empty, or with its question mark. A list repeats its parameter; what is undefined is left out. */
export function queryString(parameters: Readonly<Record<string, Parameter>>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const values = typeof value === "object" ? value : [String(value)];
    return values.map((one) => `${encodeURIComponent(name)}=${encodeURIComponent(one)}`);
  });
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

export function discoverParameters(query: DiscoverQuery): Readonly<Record<string, Parameter>> {
  const metadata = Object.entries(query.metadata ?? {}).map(([key, value]) => [`meta.${key}`, value]);
  return {
    status: query.status,
    tag: query.tags,
    version: query.version,
    zone: query.zone,
    ...(Object.fromEntries(metadata) as Record<string, string>),
    limit: query.limit,
    order: query.order,
    nearZone: query.nearZone,
    consistency: query.consistency,
    minRevision: query.minRevision,
    maxStaleMs: query.maxStaleMs,
    afterRevision: query.afterRevision,
    waitMs: query.waitMs,
  };
}

export function watchPath(query: WatchQuery): string {
  return `/v1/watch${queryString({
    namespace: query.namespace,
    service: query.services,
    prefix: query.prefixes,
    afterRevision: query.afterRevision,
  })}`;
}
