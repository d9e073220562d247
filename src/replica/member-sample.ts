/** How a replica stands, as its metrics show it. */

import type { MemberSample } from "../observability/metrics.ts";
import { instanceStatuses } from "../registry/model.ts";
import type { RegistryView } from "../registry/view.ts";
import type { Replica } from "./replica.ts";

export function sampleOf(replica: Replica): MemberSample {
  const { status, registry } = replica;
  return {
    role: status.role,
    term: status.term,
    hasLeader: status.leader !== null,
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    firstIndex: status.firstIndex,
    lastIndex: status.lastIndex,
    revision: registry.revision,
    staleMs: replica.staleMs(),
    ...countsOf(registry),
    waiting: replica.waiting(),
    peers: status.peers.map((peer) => ({
      id: peer.id,
      reachable: peer.recentlyActive,
      lagEntries: Math.max(0, status.lastIndex - peer.matchIndex),
    })),
  };
}

function countsOf(
  registry: RegistryView,
): Pick<MemberSample, "instances" | "services" | "suspectInstances" | "protectedServices"> {
  const instances = Object.fromEntries(instanceStatuses.map((status) => [status, 0])) as Record<
    string,
    number
  >;
  let services = 0;
  let suspectInstances = 0;
  let protectedServices = 0;
  for (const { name } of registry.namespaces()) {
    const all = registry.services(name, { prefix: "", after: null, limit: Number.MAX_SAFE_INTEGER });
    for (const { instances: counts, protected: isProtected } of all) {
      if (counts.total > 0) services += 1;
      if (isProtected) protectedServices += 1;
      suspectInstances += counts.suspect;
      for (const status of instanceStatuses) instances[status] = (instances[status] ?? 0) + counts[status];
    }
  }
  return { instances, services, suspectInstances, protectedServices };
}
