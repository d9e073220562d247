/**
 * A service's history: who registered, what changed, why and when an instance left. One line for each visible change, the newest
 * registryLimits.historyPerService of each service.
 */

import type { Fields } from "./fields.ts";
import { type FrozenRecord, Recorded, revisionKey } from "./records.ts";
import type { HistoryEvent } from "./view.ts";

const types = [
  "registered",
  "replaced",
  "patched",
  "status",
  "deregistered",
  "expired",
  "suspect",
  "recovered",
  "override",
  "settings",
] as const satisfies readonly HistoryEvent["type"][];

export class HistoryLine extends Recorded {
  readonly namespace: string;
  readonly service: string;
  readonly event: HistoryEvent;

  constructor(namespace: string, service: string, event: HistoryEvent) {
    super();
    this.namespace = namespace;
    this.service = service;
    this.event = event;
  }

  override get recordKey(): string {
    return `history/${this.namespace}/${this.service}/${revisionKey(this.event.revision)}`;
  }

  override recordValue(): unknown {
    const { at, type, id, incarnation, reason, by, member, lastRenewal } = this.event;
    return [at, type, id, incarnation, reason, by, member, lastRenewal];
  }

  override frozen(): FrozenRecord {
    return this;
  }

  static read(namespace: string, service: string, revision: number, fields: Fields): HistoryLine {
    return new HistoryLine(namespace, service, {
      revision,
      at: fields.integer(),
      type: fields.oneOf(types),
      id: fields.textOrNull(),
      incarnation: fields.integerOrNull(),
      reason: fields.textOrNull(),
      by: fields.textOrNull(),
      member: fields.textOrNull(),
      lastRenewal: fields.integerOrNull(),
    });
  }
}

export interface HistoryQuery {
  readonly id: string | null;
  readonly beforeRevision: number | null;
  readonly limit: number;
}

/** Newest first. Lines of the service itself (its settings, its protection) come only when no id is asked for. */
export function selectHistory(lines: readonly HistoryLine[], query: HistoryQuery): readonly HistoryEvent[] {
  const { id, beforeRevision, limit } = query;
  return lines
    .map((line) => line.event)
    .filter((event) => id === null || event.id === id)
    .filter((event) => beforeRevision === null || event.revision < beforeRevision)
    .reverse()
    .slice(0, limit);
}
