/**
 * What can be asked of the registry. All answers are about the state that has been applied, and cost nothing but memory.
 */

import type { RegistryEvent } from "./commands.ts";
import type { Instance, InstanceKey, InstanceStatus, ServiceSettings } from "./model.ts";

export interface InstanceCounts {
  readonly total: number;
  readonly up: number;
  readonly starting: number;
  readonly draining: number;
  readonly down: number;
  readonly suspect: number;
}

export interface ServiceSummary {
  readonly namespace: string;
  readonly name: string;
  /** Of its last change, also when it became empty. For an unknown service: the highest revision of any forgotten one. */
  readonly revision: number;
  readonly instances: InstanceCounts;
  readonly protected: boolean;
}

export interface NamespaceSummary {
  readonly name: string;
  readonly services: number;
  readonly instances: number;
}

/** All must hold. Empty lists and nulls ask for nothing. */
export interface InstanceFilter {
  /** Null for any status. */
  readonly statuses: readonly InstanceStatus[] | null;
  readonly tags: readonly string[];
  readonly version: string | null;
  readonly zone: string | null;
  readonly metadata: readonly (readonly [key: string, value: string])[];
}

export interface HistoryEvent {
  readonly revision: number;
  /** Wall clock of the proposer, ms since 1970. */
  readonly at: number;
  readonly type:
    | "registered"
    | "replaced"
    | "patched"
    | "status"
    | "deregistered"
    | "expired"
    | "suspect"
    | "recovered"
    | "override"
    | "settings";
  readonly id: string | null;
  readonly incarnation: number | null;
  readonly reason: string | null;
  readonly by: string | null;
  /** The member that brought the command. */
  readonly member: string | null;
  /** When the lease was last renewed, ms since 1970 by the clock of `at`; for an expiry or a suspicion. */
  readonly lastRenewal: number | null;
}

/** Events after a revision, or null when the window no longer reaches back that far and a snapshot is needed. */
export type EventsSince = readonly RegistryEvent[] | null;

export interface RegistryView {
  /** Registry-wide revision. */
  readonly revision: number;
  /** The newest cluster time applied, milliseconds. */
  readonly clusterTime: number;
  readonly instanceCount: number;
  readonly leaseCount: number;

  instance(key: InstanceKey): Instance | null;
  /** Cluster time at which the lease ends unless renewed; null when not registered. */
  deadline(key: InstanceKey): number | null;
  service(namespace: string, service: string): ServiceSummary;
  /** Sorted by id. */
  instances(namespace: string, service: string, filter: InstanceFilter): readonly Instance[];
  /** Why each instance is or is not returned by the filter: a sentence for each reason; empty for one that is returned. */
  explain(
    namespace: string,
    service: string,
    filter: InstanceFilter,
  ): readonly { readonly id: string; readonly returned: boolean; readonly reasons: readonly string[] }[];
  /** Sorted by name, those with the prefix and after the cursor; known empty services included. */
  services(
    namespace: string,
    options: { readonly prefix: string; readonly after: string | null; readonly limit: number },
  ): readonly ServiceSummary[];
  namespaces(): readonly NamespaceSummary[];
  settings(namespace: string, service: string): ServiceSettings;
  history(
    namespace: string,
    service: string,
    options: { readonly id: string | null; readonly beforeRevision: number | null; readonly limit: number },
  ): readonly HistoryEvent[];
  eventsSince(revision: number): EventsSince;
  /** A hash of everything replicated; equal on all members at equal applied index. 16 hex digits. */
  stateHash(): string;
}
