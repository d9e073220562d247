/**
 * Every message that members exchange for consensus, and why it exists.
 *
 * Messages may be lost, repeated, delayed and reordered; nothing relies on pairing a reply with its request, so replies
 * repeat what they answer. `term` is the sender's term except where a comment says otherwise.
 */

import type { Entry, EntryId, Index, NodeId, SnapshotMeta, Term } from "./types.ts";

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}

/**
 * "Could I win an election in `term`?" (thesis §9.6). Here `term` is the sender's term plus one; asking changes nobody's term,
 * vote or timer.
 */
export interface PreVote extends Envelope {
  readonly type: "preVote";
  readonly last: EntryId;
}

/** A grant repeats the asked term, or the asker would drop it as stale; a refusal carries the refuser's own term. */
export interface PreVoteReply extends Envelope {
  readonly type: "preVoteReply";
  readonly granted: boolean;
}

/** RequestVote (paper §5.2, §5.4.1). `transfer` marks an election that the old leader asked for: stickiness does not refuse it. */
export interface Vote extends Envelope {
  readonly type: "vote";
  readonly last: EntryId;
  readonly transfer: boolean;
}

export interface VoteReply extends Envelope {
  readonly type: "voteReply";
  readonly granted: boolean;
}

/** AppendEntries (paper §5.3). `commit` may be above the last entry sent; the receiver commits only what it has verified. */
export interface Append extends Envelope {
  readonly type: "append";
  readonly previous: EntryId;
  readonly entries: readonly Entry[];
  readonly commit: Index;
}

/**
 * Answers Append. Accepted: the sender's log equals the leader's up to `index`, durably. Rejected: `index` and `hintTerm` name the largest
 * entry of the sender with index <= the refused `previous.index` and term <= `previous.term`, so that one reply skips a whole term.
 */
export interface AppendReply extends Envelope {
  readonly type: "appendReply";
  /** The `previous.index` of the Append that this answers. */
  readonly previousIndex: Index;
  readonly accepted: boolean;
  readonly index: Index;
  readonly hintTerm: Term;
  readonly recovering: boolean;
}

/**
 * Says that the leader lives, and carries a numbered round that confirms reads (thesis §6.4). Separate from Append, so that it never
 * waits behind entries.
 */
export interface Heartbeat extends Envelope {
  readonly type: "heartbeat";
  /** min(what the receiver is known to hold, the leader's commit index): safe to commit at once. */
  readonly commit: Index;
  /** The leader's own commit index, for measuring staleness only. */
  readonly leaderCommit: Index;
  /** Milliseconds since the leader sent its last round that a majority confirmed. */
  readonly leaderAgeMs: number;
  readonly round: number;
  /** For a recovering receiver: it may count again once it has committed this index. 0 otherwise. */
  readonly recoveryIndex: Index;
}

export interface HeartbeatReply extends Envelope {
  readonly type: "heartbeatReply";
  readonly round: number;
  readonly appliedIndex: Index;
  readonly recovering: boolean;
}

/** "Take a snapshot from me": the log no longer reaches back to what the receiver needs. The image itself goes by another channel. */
export interface SnapshotOffer extends Envelope {
  readonly type: "snapshotOffer";
  readonly meta: SnapshotMeta;
}

/** Leadership transfer (thesis §3.10): start an election now, without asking first. Only obeyed by a log that ends at `last` or later. */
export interface TimeoutNow extends Envelope {
  readonly type: "timeoutNow";
  readonly last: EntryId;
}

/** A follower asks for an index that a linearizable read must wait for. `id` is never used twice, not even by a restarted process. */
export interface ReadIndex extends Envelope {
  readonly type: "readIndex";
  readonly id: string;
}

/** `index` null: the receiver of the question cannot confirm a read now; ask again with a new id. */
export interface ReadIndexReply extends Envelope {
  readonly type: "readIndexReply";
  readonly id: string;
  readonly index: Index | null;
}

/** "You are no longer a member since the membership at `membershipIndex`": the receiver stops campaigning. */
export interface Removed extends Envelope {
  readonly type: "removed";
  readonly membershipIndex: Index;
}

export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | SnapshotOffer
  | TimeoutNow
  | ReadIndex
  | ReadIndexReply
  | Removed;

export type MessageType = Message["type"];
