/**
 * The nouns of Raft as this module uses them: positions, entries, membership, and what survives a crash.
 *
 * All numbers are safe integers. Indexes start at 1; index 0 with term 0 is "before the first entry".
 */

/** A member's name inside the cluster, unique among all members of one membership. */
export type NodeId = string;

/** Raft's logical time (paper §5.1). 0 before the first election. */
export type Term = number;

/** A position in the Raft log. 0 means "none". */
export type Index = number;

/** Where an entry stands. Two entries with the same id are the same entry (paper §5.3, Log Matching). */
export interface EntryId {
  readonly term: Term;
  readonly index: Index;
}

/** The id of the empty log's end. */
export const noEntry: EntryId = { term: 0, index: 0 };

interface EntryBase extends EntryId {
  /**
   * Milliseconds of cluster time at which the leader appended the entry. Never decreases along the log.
   * It is the only clock that the state machine sees.
   */
  readonly clusterTime: number;
}

/** Something for the state machine. The payload is opaque here. */
export interface CommandEntry extends EntryBase {
  readonly kind: "command";
  readonly payload: Uint8Array;
}

/**
 * The no-op that every leader appends first (paper §8): once committed, all earlier entries are.
 * `graceMs` is how long this leader holds the cluster clock still, so that clients find it before leases run out; 0 for no grace.
 */
export interface ElectionEntry extends EntryBase {
  readonly kind: "election";
  readonly graceMs: number;
}

/** A new membership. In force from the moment it is appended, not when it commits (thesis §4.1). */
export interface MembershipEntry extends EntryBase {
  readonly kind: "membership";
  readonly membership: Membership;
}

/** Carries nothing but its `clusterTime`, so that time passes while nobody writes. */
export interface ClockEntry extends EntryBase {
  readonly kind: "clock";
}

export type Entry = CommandEntry | ElectionEntry | MembershipEntry | ClockEntry;

/**
 * A member as the log knows it. The incarnation is drawn when its data folder is created: a wiped disk makes another member,
 * which must not vote with the old one's promises.
 */
export interface Member {
  readonly id: NodeId;
  readonly incarnation: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/**
 * Who belongs to the cluster. While `outgoing` is not empty the membership is joint: every decision needs a majority of `voters`
 * and a majority of `outgoing` (paper §6, thesis §4.3).
 */
export interface Membership {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Every id above exactly once, sorted by id. */
  readonly members: readonly Member[];
}

/** What must be durable before any message that depends on it is sent (paper Figure 2, "persistent state"). */
export interface HardState {
  readonly term: Term;
  /** Whom this member voted for in `term`; null for nobody. */
  readonly vote: NodeId | null;
}

/**
 * The state machine's image that stands for all entries up to `last`, and what the log needs to go on after it.
 * `id` names one transfer of it.
 */
export interface SnapshotMeta {
  readonly id: string;
  readonly last: EntryId;
  readonly clusterTime: number;
  readonly membership: Membership;
  /** The index of the entry that carried `membership`. */
  readonly membershipIndex: Index;
  /** Cluster time of the latest election grace at or before `last`; a grace is given at most once a minute. -1 for never. */
  readonly lastGraceAt: number;
}

/** What a member knows when it starts: the durable log, and the boundary below which the log was compacted. */
export interface BootState {
  readonly hardState: HardState;
  /** Stands for everything that is no longer in `entries`; `last` is {0,0} for a log that was never compacted. */
  readonly base: Omit<SnapshotMeta, "id">;
  /** Contiguous from `base.last.index + 1`. */
  readonly entries: readonly Entry[];
  /** What the durable state image already holds; base.last.index <= appliedIndex <= last entry. */
  readonly appliedIndex: Index;
  /**
   * True when acknowledged entries or a vote may have been lost from this disk. Such a member neither votes nor counts until an
   * entry that was proposed after its return has been committed without it.
   */
  readonly recovering: boolean;
}

/** follower · preCandidate (asks whether an election could be won) · candidate · leader. */
export type Role = "follower" | "preCandidate" | "candidate" | "leader";
