/**
 * A running member as its HTTP API sees it: submit, renew, read, observe. `Replica` implements it.
 */

import type { RaftStatus } from "../raft/io.ts";
import { stalenessUnknownMs } from "../raft/staleness.ts";
import type { Member, NodeId } from "../raft/types.ts";
import type { ErrorCode, Outcome } from "../lib/errors.ts";
import type { Command, CommandResult, RegistryEvent } from "../registry/commands.ts";
import type { InstanceKey, InstanceStatus } from "../registry/model.ts";
import type { RegistryView } from "../registry/view.ts";
import type { PeerView } from "./ports.ts";
import type { WatchProgress } from "./watch-progress.ts";

/** What `staleMs` is for unknown: more than any age. */
export const unknownStaleMs = stalenessUnknownMs;

export interface WriteOptions {
  /** Bounds the whole write, the wait for a leader included, milliseconds. */
  readonly timeoutMs: number;
  readonly idempotencyKey: string | null;
  /** Who asks, for the history. */
  readonly by: string | null;
}

export interface Renewal {
  readonly key: InstanceKey;
  readonly incarnation: number | null;
  readonly status: InstanceStatus | null;
}

export type RenewalResult =
  | { readonly ok: true; readonly incarnation: number; readonly ttlMs: number }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly detail: string;
      readonly outcome: Outcome;
      readonly retryAfterMs: number | null;
    };

export type Consistency = "local" | "linearizable";

export interface ReadOptions {
  readonly consistency: Consistency;
  /** Wait until this member has applied that revision. */
  readonly minRevision: number | null;
  /** The longest wait for `minRevision`, for a leader, or for the first commit index after a start, milliseconds. */
  readonly waitMs: number;
  readonly maxStaleMs: number | null;
}

export interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong and what to do; when ok, what people should know all the same, or nothing. */
  readonly detail: string;
}

/** A change of membership as an operator asks for it; the incarnation of a new member is asked of that member itself. */
export type MembershipRequest =
  | { readonly kind: "addLearner"; readonly id: NodeId; readonly peerUrl: string; readonly clientUrl: string }
  | { readonly kind: "promote"; readonly id: NodeId }
  | { readonly kind: "remove"; readonly id: NodeId };

/** This member's picture of the cluster. Rows of others are as the leader sees them, when it could be asked. */
export interface ClusterPicture {
  readonly clusterId: string;
  readonly member: NodeId;
  readonly raft: RaftStatus;
  /** Addresses by member id. */
  readonly members: readonly Member[];
  readonly revision: number;
  readonly quorum: number;
  readonly failuresTolerated: number;
  readonly peers: readonly PeerView[];
}

export interface RegistryMember {
  readonly id: NodeId;
  readonly clusterId: string;
  readonly version: string;
  /** Queries on what this member has applied. Never changes within one turn of the loop. */
  readonly registry: RegistryView;

  leader(): NodeId | null;
  term(): number;
  /** Upper bound of how far behind the cluster this member may be; `unknownStaleMs` for unknown. */
  staleMs(): number;
  /** This member's estimate of cluster time, for `expiresInMs`. */
  clusterNow(): number;

  /**
   * Replicates a command. Resolves with its result, failures included, once this member has applied it. Rejects with a RollcallError
   * whose outcome says whether the command may yet take effect.
   */
  submit(command: Command, options: WriteOptions): Promise<CommandResult>;
  /** Renews many leases; one result each, in order, after commit. */
  renew(renewals: readonly Renewal[], timeoutMs: number): Promise<RenewalResult[]>;
  /** Resolves when this member may answer a read at that level. */
  read(options: ReadOptions): Promise<void>;

  /** Called once for each applied entry that changed something, in order of revision. Returns how to stop. */
  onEvents(listener: (events: readonly RegistryEvent[]) => void): () => void;

  /** Says how to find out that every watch open on this member has been sent a revision. */
  setWatchProgress(progress: WatchProgress): void;
  /** Resolves with the members whose open watches had not all been sent `revision` within `budgetMs`; empty when all had. */
  awaitWatches(revision: number, budgetMs: number): Promise<readonly NodeId[]>;

  cluster(): Promise<ClusterPicture>;
  transferLeadership(to: NodeId | null, timeoutMs: number): Promise<void>;
  changeMembership(request: MembershipRequest, timeoutMs: number): Promise<void>;
  /** Writes the state image durably and drops the log that it replaces. Resolves with the index compacted to. */
  compact(): Promise<number>;
  /** The bytes of a consistent backup of everything applied so far; what is missing at their end shows when it is read. */
  backup(): Promise<AsyncIterable<Uint8Array>>;
  readiness(): ReadinessCheck[];
}
