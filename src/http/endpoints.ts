/** Every endpoint, in the order of /openapi.json. What is not here does not exist. */

import type { Endpoint } from "./endpoint.ts";
import { applyBatch } from "./routes/batch.ts";
import {
  addMember,
  backup,
  compact,
  getCluster,
  getHash,
  promoteMember,
  removeMember,
  transferLeadership,
} from "./routes/cluster.ts";
import { discover, explain } from "./routes/discovery.ts";
import {
  documentation,
  documentationStyle,
  errorPage,
  live,
  metrics,
  openapi,
  ready,
} from "./routes/health.ts";
import { listHistory } from "./routes/history.ts";
import { deregister, drain, get, patch, register } from "./routes/instances.ts";
import { attachPresence } from "./routes/presence.ts";
import { renewMany, renewOne } from "./routes/renewals.ts";
import { listNamespaces, listServices } from "./routes/services.ts";
import { deleteOverride, getSettings, putOverride, putSettings } from "./routes/settings.ts";
import { watchServices } from "./routes/watch.ts";

export const endpoints: readonly Endpoint[] = [
  register,
  renewOne,
  patch,
  deregister,
  get,
  drain,
  renewMany,
  applyBatch,
  attachPresence,
  putOverride,
  deleteOverride,
  discover,
  explain,
  listHistory,
  getSettings,
  putSettings,
  listServices,
  listNamespaces,
  watchServices,
  getCluster,
  getHash,
  addMember,
  promoteMember,
  removeMember,
  transferLeadership,
  compact,
  backup,
  live,
  ready,
  metrics,
  openapi,
  documentation,
  documentationStyle,
  errorPage,
];

const defaultTree = "/v1/services";

/** The paths of an endpoint: what is under /v1/services is under every namespace too. */
export function pathsOf({ path }: Endpoint): string[] {
  if (!path.startsWith(defaultTree)) return [path];
  return [path, path.replace(defaultTree, "/v1/namespaces/{namespace}/services")];
}

/** The endpoints of each path, in order of their first. */
export function endpointsByPath(): ReadonlyMap<string, readonly Endpoint[]> {
  const byPath = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    for (const path of pathsOf(endpoint)) {
      const others = byPath.get(path);
      if (others === undefined) byPath.set(path, [endpoint]);
      else others.push(endpoint);
    }
  }
  return byPath;
}
