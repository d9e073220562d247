/**
 * The contract between the core and its driver: inputs go in through `step`, effects come out of `takeEffects`.
 *
 * The driver must carry out effects in the order given, and must hold back each `send` until everything up to its `afterSeq` is
 * durable. Persisting is asynchronous: the driver answers with `stored`, and until then the core counts nothing as written.
 */

import type { Message } from "./messages.ts";
import type {
  Entry,
  EntryId,
  HardState,
  Index,
  Membership,
  NodeId,
  Role,
  SnapshotMeta,
  Term,
} from "./types.ts";

/** `nowMs`: the driver's monotonic clock, in milliseconds, from any origin. Only differences between values are used. */
export type Input =
  /** One step of Raft's logical clock. `leasesExist`: whether the cluster clock needs to advance at all. */
  | { readonly kind: "tick"; readonly nowMs: number; readonly leasesExist: boolean }
  /**
   * `unreadSinceMs`: when the network had last been read before it brought this message, which may have been waiting ever since. The age
   * of what it says counts from then, so that a process that was paused does not take old news for fresh. Absent for `nowMs`.
   */
  | {
      readonly kind: "message";
      readonly nowMs: number;
      readonly unreadSinceMs?: number;
      readonly message: Message;
    }
  /** Appends one command entry. Answered by `proposalAppended` or `proposalRejected` with the same `ctx`. */
  | {
      readonly kind: "propose";
      readonly nowMs: number;
      readonly ctx: number;
      readonly payload: Uint8Array;
      /** Refuse unless this is still the term: a fence for forwarded proposals. Null for no fence. */
      readonly ifTerm: Term | null;
      /**
       * What it may pass of the bound on uncommitted bytes. `urgent`: the part that others leave free. `own`: all of it, as the leader's clock
       * entries do; whoever proposes such bounds how many there are. Absent for neither.
       */
      readonly priority?: "urgent" | "own";
    }
  /** Asks for a linearizable read. Answered by `readReady` or `readFailed` with the same `ctx`. */
  | { readonly kind: "read"; readonly nowMs: number; readonly ctx: number; readonly id: string }
  /** Asks for a change of membership. Answered as a proposal is. */
  | {
      readonly kind: "changeMembership";
      readonly nowMs: number;
      readonly ctx: number;
      readonly change: MembershipChange;
    }
  /** Leader only: hand leadership to `to`, or to the most caught-up voter when null. */
  | { readonly kind: "transfer"; readonly nowMs: number; readonly to: NodeId | null }
  /** Everything persisted with a sequence number up to and including `seq` is durable. */
  | { readonly kind: "stored"; readonly nowMs: number; readonly seq: number }
  /** The state machine holds everything up to `index`. */
  | { readonly kind: "applied"; readonly index: Index }
  /** The state image durably holds everything up to `index`: the log before it may go, as far as what is retained allows. */
  | {
      readonly kind: "compact";
      readonly index: Index;
      readonly retainEntries: number;
      readonly retainBytes: number;
    }
  /** A snapshot was received and durably installed; the log continues after it. */
  | { readonly kind: "snapshotInstalled"; readonly nowMs: number; readonly meta: SnapshotMeta }
  /** Follower: the snapshot `id` could not be fetched or installed; an offer of it counts again. */
  | { readonly kind: "snapshotFailed"; readonly id: string }
  /** Leader: the transfer of a snapshot to `to` ended. */
  | { readonly kind: "snapshotSent"; readonly to: NodeId; readonly id: string; readonly ok: boolean }
  /** The connection to `id` broke or its queue overflowed: messages to it may be lost. Spares time; what it does not tell, answers to heartbeats show. */
  | { readonly kind: "unreachable"; readonly id: NodeId }
  /** The stream from `id` ended. If it was the leader, this member asks for a pre-vote after a short random wait. */
  | { readonly kind: "streamLost"; readonly nowMs: number; readonly id: NodeId }
  /** The disk failed or hangs: stop voting, acknowledging and leading. */
  | { readonly kind: "storageFailed"; readonly nowMs: number };

/**
 * One change at a time. A change of voters becomes a joint membership and then, by itself, the plain one that it leads to; a change of
 * learners, or of a member's addresses, is one plain entry.
 */
export type MembershipChange =
  | {
      readonly kind: "addLearner";
      readonly id: NodeId;
      readonly incarnation: string;
      readonly peerUrl: string;
      readonly clientUrl: string;
    }
  | {
      /** The member of this incarnation is reached elsewhere from now on. */
      readonly kind: "readdress";
      readonly id: NodeId;
      readonly incarnation: string;
      readonly peerUrl: string;
      readonly clientUrl: string;
    }
  | { readonly kind: "promote"; readonly id: NodeId }
  | { readonly kind: "remove"; readonly id: NodeId };

/** Why the core would not take something. None of these proposals has had, or will have, any effect. */
export type RejectReason =
  | "notLeader"
  | "termChanged"
  | "transferring"
  | "overloaded"
  | "notReady"
  | "changeInProgress"
  | "notCaughtUp"
  | "invalidChange"
  | "stopped";

export type Effect =
  /** Make durable, atomically and in order of `seq`: first the hard state, then cut the log after `truncateAfter`, then append. */
  | {
      readonly kind: "persist";
      readonly seq: number;
      readonly hardState: HardState | null;
      readonly truncateAfter: Index | null;
      readonly entries: readonly Entry[];
    }
  /** Deliver once everything up to `afterSeq` is durable; 0 for at once. */
  | { readonly kind: "send"; readonly message: Message; readonly afterSeq: number }
  /** Committed and durable here: apply in order, then answer with `applied`. */
  | { readonly kind: "apply"; readonly entries: readonly Entry[] }
  | { readonly kind: "proposalAppended"; readonly ctx: number; readonly entry: EntryId }
  | { readonly kind: "proposalRejected"; readonly ctx: number; readonly reason: RejectReason }
  /** Serve the read once the state machine holds `index`. */
  | { readonly kind: "readReady"; readonly ctx: number; readonly index: Index }
  | { readonly kind: "readFailed"; readonly ctx: number; readonly reason: RejectReason }
  /**
   * Leader: stream the newest durable image to `to`; its meta goes out in a SnapshotOffer built by the driver. Asked again while no
   * `snapshotSent` has come and the follower has not got on, since the offer may be lost: then repeat the offer that stands.
   */
  | { readonly kind: "sendSnapshot"; readonly to: NodeId; readonly term: Term }
  /** Follower: fetch and durably install this image, then answer with `snapshotInstalled`. */
  | { readonly kind: "fetchSnapshot"; readonly from: NodeId; readonly meta: SnapshotMeta }
  /**
   * Drop the log up to and including `base.last`; `base` is what a restart begins from. In the storage lane, after the write `seq`, which
   * was given out before: it has no number of its own and needs no `stored`.
   */
  | { readonly kind: "compactLog"; readonly seq: number; readonly base: Omit<SnapshotMeta, "id"> }
  /** This member lost its memory and has now earned its vote again: record that durably, as the write `seq`, and answer with `stored`. */
  | { readonly kind: "recovered"; readonly seq: number }
  | { readonly kind: "event"; readonly event: RaftEvent };

/** What an operator would retell. The core does not log; the driver turns these into log lines and metrics. */
export type RaftEvent =
  | { readonly kind: "roleChanged"; readonly role: Role; readonly term: Term; readonly reason: string }
  | { readonly kind: "leaderChanged"; readonly leader: NodeId | null; readonly term: Term }
  /** `last`: where this member's own log ended when it gave its vote. */
  | { readonly kind: "votedFor"; readonly candidate: NodeId; readonly term: Term; readonly last: EntryId }
  | { readonly kind: "membershipChanged"; readonly membership: Membership; readonly at: EntryId }
  | { readonly kind: "truncated"; readonly after: Index; readonly dropped: number }
  | { readonly kind: "transferStarted"; readonly to: NodeId }
  | { readonly kind: "transferAborted"; readonly to: NodeId; readonly reason: string }
  | { readonly kind: "steppedDown"; readonly term: Term; readonly reason: string }
  | { readonly kind: "messageIgnored"; readonly type: string; readonly from: NodeId; readonly reason: string }
  | { readonly kind: "removed"; readonly index: Index }
  /** This member has acknowledged more than its log holds: its disk was rolled back, or has lost the end of the log. */
  | { readonly kind: "memoryLost"; readonly acknowledgedIndex: Index; readonly lastIndex: Index }
  | { readonly kind: "recovered"; readonly index: Index };

/** One follower as the leader sees it; for status pages, metrics and checkers. */
export interface PeerStatus {
  readonly id: NodeId;
  readonly state: "probe" | "replicate" | "snapshot";
  readonly matchIndex: Index;
  readonly nextIndex: Index;
  /** By the follower's last heartbeat reply. */
  readonly appliedIndex: Index;
  readonly recentlyActive: boolean;
  readonly recovering: boolean;
  /** Milliseconds since the last reply of this term; null before any. */
  readonly lastContactMs: number | null;
}

export interface RaftStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly term: Term;
  readonly vote: NodeId | null;
  readonly leader: NodeId | null;
  readonly commitIndex: Index;
  readonly appliedIndex: Index;
  readonly firstIndex: Index;
  readonly lastIndex: Index;
  /** The last index that is durable on this member. */
  readonly durableIndex: Index;
  readonly membership: Membership;
  readonly membershipIndex: Index;
  readonly recovering: boolean;
  readonly removed: boolean;
  /** The disk failed: this member neither votes, acknowledges nor leads until it is restarted. */
  readonly storageFailed: boolean;
  readonly transferringTo: NodeId | null;
  /** Leader only; empty elsewhere. Sorted by id. */
  readonly peers: readonly PeerStatus[];
}
