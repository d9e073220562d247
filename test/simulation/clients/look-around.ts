/**
 * Asks a member everything that can be asked without changing anything. Nothing of it may throw, whatever state the member is in, and what
 * two questions tell of the same must agree.
 */

import type { Replica } from "../../../src/replica/replica.ts";
import type { InstanceKey } from "../../../src/registry/model.ts";
import type { Violate } from "../violation.ts";

const everything = { statuses: null, tags: [], version: null, zone: null, metadata: [] };

export function lookAround(
  replica: Replica,
  { namespace, service, id }: InstanceKey,
  violate: Violate,
): void {
  const { registry } = replica;
  const listed = registry.instances(namespace, service, everything);
  const summary = registry.service(namespace, service);
  if (listed.length !== summary.instances.total)
    violate(
      "queries",
      `${replica.id} lists ${listed.length} instances of ${service}, and counts ${summary.instances.total}`,
    );
  const explained = registry.explain(namespace, service, {
    ...everything,
    statuses: ["up"],
    tags: ["t"],
    zone: "z",
  });
  if (explained.length !== listed.length)
    violate(
      "queries",
      `${replica.id} explains ${explained.length} instances of ${service}, and lists ${listed.length}`,
    );
  const isListed = listed.some((instance) => instance.id === id);
  const key = { namespace, service, id };
  if (isListed !== (registry.instance(key) !== null) || isListed !== (registry.deadline(key) !== null))
    violate("queries", `${replica.id} lists ${id} of ${service}: ${isListed}, and otherwise not so`);
  registry.services(namespace, { prefix: "s", after: null, limit: 10 });
  registry.namespaces();
  registry.settings(namespace, service);
  const lines = registry.history(namespace, service, { id, beforeRevision: null, limit: 5 });
  if (lines.some((line, i) => i > 0 && line.revision > lines[i - 1]!.revision))
    violate("queries", `${replica.id} tells the history of ${service} out of order`);
  replica.readiness();
  replica.clusterNow();
  replica.clusterStatus(() => {});
}
