/**
 * What the driver needs from the world: a log, a state image, peers, a clock and a queue of things to do later.
 *
 * The driver owns these interfaces; `storage/` and `transport/` implement them, and so does the simulator. Nothing here is a promise:
 * an operation is started by a call and ends with exactly one callback, never within the call itself, so that a simulator decides the
 * order of everything.
 */

import type { Message } from "../raft/messages.ts";
import type { MembershipChange, RejectReason } from "../raft/io.ts";
import type {
  BootState,
  Entry,
  EntryId,
  HardState,
  Index,
  Member,
  NodeId,
  SnapshotMeta,
  Term,
} from "../raft/types.ts";
import type { CommandBatch, CommandResult } from "../registry/commands.ts";

/** Why storage could not do something. `full`: nothing was written and nothing is lost; `failed`: this disk may not be trusted any more. */
export interface StorageFailure {
  readonly kind: "full" | "failed";
  readonly message: string;
}

export type StorageDone = (failure: StorageFailure | null) => void;

/** One atomic change of the durable log: first the hard state, then the cut, then the entries. */
export interface LogWrite {
  readonly hardState: HardState | null;
  readonly truncateAfter: Index | null;
  readonly entries: readonly Entry[];
}

/** The boundary of a compacted log: what a restart begins from. */
export type LogBase = Omit<SnapshotMeta, "id">;

/** The Raft log and hard state. First in, first out: a later write is never durable before an earlier one. */
export interface LogStore {
  /** After a `failed` every later write fails too. */
  persist(write: LogWrite, done: StorageDone): void;
  /** Records the boundary and drops what lies wholly below it. */
  compact(base: LogBase, done: StorageDone): void;
  /** Replaces the whole log by an installed snapshot's boundary; keeps the entries after it when `keepTail`. */
  reset(base: LogBase, keepTail: boolean, done: StorageDone): void;
  /** Records that this member's memory is whole again. */
  markRecovered(done: StorageDone): void;
  /** Milliseconds since the oldest unfinished write was handed to the disk; 0 when idle. A disk that hangs shows here. */
  oldestPendingMs(nowMs: number): number;
}

/** One record of the state image: a key in words, such as `instance/default/web/a1`, and a plain value (arrays, strings, numbers, null). */
export type StateRecord = readonly [key: string, value: unknown];

/** One atomic batch: the records that changed since the last one, and the position that the image stands for afterwards. */
export interface StateBatch {
  readonly puts: readonly StateRecord[];
  readonly deletes: readonly string[];
  readonly base: LogBase;
  /** Whether the batch must survive a power loss before it is done; the log may be compacted only up to such a batch. */
  readonly sync: boolean;
}

/** A state image read from disk: the position that it stands for, and all its records. */
export interface StateImage {
  readonly base: LogBase;
  /** May be decoded anew each time that somebody walks over them. */
  readonly records: Iterable<StateRecord>;
  /** The same to be loaded: a value may come as Fields, which read it from its bytes, once. */
  readonly packedRecords: Iterable<StateRecord>;
}

/** A consistent view of the durable image, read in chunks while writing goes on. */
export interface ImageSource {
  readonly base: LogBase;
  /** The chunk at this position (0, 1, 2, ... count chunks), or null at the end. Chunks are bounded, checksummed, and the same whenever asked for again. */
  read(position: number, done: (failure: StorageFailure | null, chunk: Uint8Array | null) => void): void;
  close(): void;
}

/** Receives an image beside the present one. Nothing is replaced until `commit` is done. */
export interface ImageSink {
  write(chunk: Uint8Array, done: StorageDone): void;
  /** Verifies the whole, makes it durable and puts it in the place of the old one; then hands over what it holds. */
  commit(done: (failure: StorageFailure | null, image: StateImage | null) => void): void;
  abort(): void;
}

/** The durable image of the state machine. */
export interface StateStore {
  /** At most one batch is under way at a time; the driver collects meanwhile. */
  write(batch: StateBatch, done: StorageDone): void;
  openImage(done: (failure: StorageFailure | null, source: ImageSource | null) => void): void;
  receiveImage(meta: SnapshotMeta): ImageSink;
}

/** Turns batches of commands into the bytes of a log entry and back. `decode` throws when the bytes make no sense. */
export interface CommandCodec {
  encode(batch: CommandBatch): Uint8Array;
  decode(payload: Uint8Array): CommandBatch;
}

/** What one member asks another outside of Raft. */
export type PeerRequest =
  /** A batch for the leader to propose. `term` is whose leader the asker believes in; `budgetMs` is the time left. */
  | { readonly kind: "propose"; readonly term: Term; readonly budgetMs: number; readonly payload: Uint8Array }
  | { readonly kind: "changeMembership"; readonly budgetMs: number; readonly change: MembershipChange }
  | { readonly kind: "transfer"; readonly to: NodeId | null }
  /** The leader's view of all members. */
  | { readonly kind: "clusterStatus" }
  /** Answers when every watch open at the receiver has been sent `revision`, or at `budgetMs`. */
  | { readonly kind: "awaitWatches"; readonly revision: number; readonly budgetMs: number }
  /** How the asker's disk and state are; answered in kind. */
  | { readonly kind: "report"; readonly report: MemberReport };

/** What members tell each other about themselves, now and then. */
export interface MemberReport {
  /** How long a write to the log usually takes, milliseconds; null when it is not known. */
  readonly writeMs: number | null;
  /** Whether there is too little room on the disk for the registry to grow. */
  readonly roomIsShort: boolean;
  /** How late it is with its own work, milliseconds; null when it is not known. */
  readonly lateMs: number | null;
  /** The newest state hashes, at indexes that all members stop at. */
  readonly checkpoints: readonly Checkpoint[];
}

/** The hash of the state machine right after the entry at `index`. */
export interface Checkpoint {
  readonly index: Index;
  readonly hash: string;
}

export type PeerReply =
  /** Committed at this index; one result for each envelope of the batch. */
  | {
      readonly kind: "committed";
      readonly term: Term;
      readonly index: Index;
      readonly results: readonly CommandResult[];
    }
  /** Has not had and will not have any effect. */
  | {
      readonly kind: "rejected";
      readonly reason: RejectReason | "expired" | "malformed";
      readonly leader: NodeId | null;
    }
  /** May yet take effect. */
  | { readonly kind: "unknown" }
  | { readonly kind: "done"; readonly index: Index }
  | { readonly kind: "clusterStatus"; readonly members: readonly PeerView[] }
  | { readonly kind: "watches"; readonly reached: boolean }
  | { readonly kind: "report"; readonly report: MemberReport };

/** How the leader sees a member. */
export interface PeerView {
  readonly id: NodeId;
  readonly reachable: boolean;
  readonly lastContactMs: number | null;
  readonly matchIndex: Index;
  readonly appliedIndex: Index;
  readonly recovering: boolean;
  readonly version: string | null;
}

/** How a request to a peer ended. `notSent`: it never left this member. `broken`: it left, and no answer came: it may have taken effect. */
export type PeerOutcome =
  | { readonly kind: "reply"; readonly reply: PeerReply }
  | { readonly kind: "notSent"; readonly reason: string }
  | { readonly kind: "broken"; readonly reason: string };

/** The way to the other members. Messages may be lost; requests end in exactly one outcome. */
export interface PeerNetwork {
  send(message: Message): void;
  request(to: NodeId, request: PeerRequest, timeoutMs: number, done: (outcome: PeerOutcome) => void): void;
  /**
   * Who the peers are now, by the membership in force, and where in the log that stands: connections to others end. Two members that differ
   * over an incarnation go by the later of their two memberships.
   */
  setPeers(members: readonly Member[], at: EntryId): void;
  /** Pulls a snapshot from `from` in chunks, with retries and resumption; `done(null)` after the last chunk was taken by `onChunk`. */
  fetchSnapshot(
    from: NodeId,
    meta: SnapshotMeta,
    onChunk: (chunk: Uint8Array, taken: StorageDone) => void,
    done: (failure: { readonly message: string } | null) => void,
  ): void;
  /** Whether a working stream from this peer exists, and the version that it announced. */
  connection(id: NodeId): { readonly connected: boolean; readonly version: string | null };
}

/** What the network hands to the driver. */
export interface PeerHandler {
  receive(message: Message): void;
  answer(from: NodeId, request: PeerRequest, reply: (reply: PeerReply) => void): void;
  /** The chunk of the snapshot `id` that this member offered, null at its end; undefined when it offers no such snapshot any more. */
  readSnapshot(id: string, position: number, done: (chunk: Uint8Array | null | undefined) => void): void;
  streamLost(id: NodeId): void;
  unreachable(id: NodeId): void;
}

/** The room on the disk that holds this member's data. */
export interface DiskRoom {
  /** How many bytes this process could still write; null when nobody knows. */
  look(done: (freeBytes: number | null) => void): void;
  /** Gives back the room that was set aside for an emergency, so that what shrinks the data can still be written. */
  releaseReserve(): void;
  /** Sets it aside again. Does nothing while it is. */
  restoreReserve(): void;
}

export interface Clock {
  /** Milliseconds from an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970, for people only. */
  wallMs(): number;
}

export interface Scheduler {
  /** Runs the task in a later turn of the loop, after pending socket reads. */
  soon(task: () => void): void;
  /** Runs the task after at least `ms`. Returns how to cancel it. */
  after(ms: number, task: () => void): () => void;
}

/** What storage found when this member started. */
export interface Recovered {
  readonly boot: BootState;
  /** The state image that `boot.appliedIndex` refers to; empty records for none. */
  readonly image: StateImage;
}
