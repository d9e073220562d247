/**
 * What the driver tells whoever keeps logs and metrics. All methods return at once and never throw; the driver does not depend on them.
 */

import type { RaftEvent } from "../raft/io.ts";
import type { Index, NodeId } from "../raft/types.ts";
import type { CommandKind, RegistryEvent } from "../registry/commands.ts";
import type { StorageFailure } from "./ports.ts";
import type { Disagreement } from "./state-agreement.ts";

export type WriteOutcome = "committed" | "rejected" | "unknown" | "failed";

export interface ReplicaObserver {
  raft(event: RaftEvent): void;
  /** In order, as this member applied them. `isReplay`: they are of the past, which it catches up with after its start. */
  registryEvents(events: readonly RegistryEvent[], isReplay: boolean): void;
  applied(index: Index): void;
  /** A write that a client brought here ended. */
  writeEnded(kind: CommandKind, outcome: WriteOutcome, durationMs: number): void;
  /** A group of Raft state became durable. */
  persisted(entries: number, durationMs: number): void;
  imageWritten(records: number, synced: boolean, durationMs: number): void;
  compacted(index: Index): void;
  snapshotOffered(to: NodeId, index: Index): void;
  snapshotInstalled(from: NodeId, index: Index, durationMs: number): void;
  storageFailed(where: "log" | "image", failure: StorageFailure): void;
  /** `freeBytes`: null when nobody knows. */
  roomChanged(isShort: boolean, freeBytes: number | null, neededBytes: number): void;
  /** This leader's disk is slow or hangs, so another member is to lead. */
  diskHandOver(to: NodeId, writeMs: number): void;
  /** This leader's disk has no room, so another member is to lead. */
  roomHandOver(to: NodeId): void;
  /** This leader is late with its own work, so another member is to lead. */
  paceHandOver(to: NodeId, lateMs: number): void;
  /** Members hold different states at the same index. */
  stateDiffers(disagreement: Disagreement): void;
  /** This member cannot go on: its process must end with a non-zero status. */
  fatal(error: unknown): void;
}

/** Hears nothing; for tests. A fatal error is thrown on. */
export const silentObserver: ReplicaObserver = {
  raft: () => {},
  registryEvents: () => {},
  applied: () => {},
  writeEnded: () => {},
  persisted: () => {},
  imageWritten: () => {},
  compacted: () => {},
  snapshotOffered: () => {},
  snapshotInstalled: () => {},
  storageFailed: () => {},
  roomChanged: () => {},
  diskHandOver: () => {},
  roomHandOver: () => {},
  paceHandOver: () => {},
  stateDiffers: () => {},
  fatal: (error) => {
    throw error;
  },
};
