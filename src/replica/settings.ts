/**
 * What can be set in the driver, with its defaults. Times in milliseconds, sizes in bytes and counts.
 */

import { defaultRaftConfig, type RaftConfig } from "../raft/config.ts";

export interface ReplicaSettings {
  readonly raft: RaftConfig;
  /** How long renewals are collected before they go to the leader as one batch. Adds to each renewal's latency. */
  readonly renewalWindowMs: number;
  /** The most renewals in one command. */
  readonly renewalsPerCommandMax: number;
  /** Renewals taken here and not answered yet, before new ones are refused. */
  readonly openRenewalsMax: number;
  /** How often changed records are written to the state image. Longer: fewer writes, a longer replay after a crash. */
  readonly flushIntervalMs: number;
  /** So many changed records are written at once, however short ago the last write was: what is kept for one batch stays small. */
  readonly flushRecordsMax: number;
  /**
   * Until a start has caught up with its log, nothing is written before so many records have changed: the log has all of it, and a record
   * that changes several times is written once.
   */
  readonly replayRecordsMax: number;
  /** A state is built out of its records, of which each needs about four steps, with so many steps in one turn of the loop. */
  readonly loadStepsPerTurn: number;
  /** How often a written image is made to survive a power loss, so that the log before it may go. */
  readonly imageSyncIntervalMs: number;
  /** Entries kept in the log for followers that are behind, when the image no longer needs them. */
  readonly retainEntries: number;
  /** Estimated bytes of the same, and of what is kept for a follower that is further behind. The log is in memory as well as on disk. */
  readonly retainBytes: number;
  /** Commands in one log entry. */
  readonly entryCommandsMax: number;
  /** Estimated bytes of the commands in one log entry; a single larger command still makes an entry. */
  readonly entryBytesMax: number;
  /** Writes taken here and not answered yet, before new ones are refused. */
  readonly pendingWritesMax: number;
  /** Estimated bytes of the same. */
  readonly pendingBytesMax: number;
  /** Batches under way to the leader at once. */
  readonly forwardsInflightMax: number;
  /** Reads that wait for a leader's confirmation or for the end of a start, before new ones are refused. */
  readonly waitingReadsMax: number;
  /** How long a refused write waits before it is tried again. */
  readonly retryDelayMs: number;
  /** After a start, reads wait this long for a commit index learnt from a leader. */
  readonly startReadWaitMs: number;
  /** How long a graceful stop waits for somebody else to lead. */
  readonly transferWaitMs: number;
  /** How long a member that has moved waits for the membership to say so, before it says it again. */
  readonly announceTimeoutMs: number;
  /** Between two such tries. A second one is needed when another change is under way, or the leader was lost. */
  readonly announceRetryMs: number;
  /** An offered snapshot that nobody reads is given up after this long. */
  readonly snapshotIdleMs: number;
  /** How long a full disk is left alone before the held writes are tried again. */
  readonly diskFullRetryMs: number;
  /** A disk write older than this takes the member out of leading until it completes. */
  readonly diskStallMs: number;
  /** A leader whose disk writes take this long hands over to a member whose disk is at least four times faster. */
  readonly diskSlowMs: number;
  /** A leader that stays so late with its own work hands over to a member that is at least four times less late. */
  readonly leaderLateMs: number;
  /** With less free room on the disk than this the registry may not grow. */
  readonly diskSoftBytes: number;
  /** Room on the disk that is set aside, and given back when the disk is full. */
  readonly diskReserveBytes: number;
  /** How often members tell each other how they are. */
  readonly reportIntervalMs: number;
  /** Members compare their states after each so many entries. */
  readonly hashEveryEntries: number;
}

export const defaultReplicaSettings: ReplicaSettings = {
  raft: defaultRaftConfig,
  renewalWindowMs: 5,
  renewalsPerCommandMax: 10_000,
  openRenewalsMax: 200_000,
  flushIntervalMs: 200,
  flushRecordsMax: 4_000,
  replayRecordsMax: 1_000_000,
  loadStepsPerTurn: 2_000,
  imageSyncIntervalMs: 10_000,
  retainEntries: 10_000,
  retainBytes: 64 * 1024 * 1024,
  entryCommandsMax: 1_000,
  entryBytesMax: 1024 * 1024,
  pendingWritesMax: 20_000,
  pendingBytesMax: 64 * 1024 * 1024,
  forwardsInflightMax: 8,
  waitingReadsMax: 10_000,
  retryDelayMs: 20,
  startReadWaitMs: 5_000,
  transferWaitMs: 2_000,
  announceTimeoutMs: 5_000,
  announceRetryMs: 1_000,
  snapshotIdleMs: 30_000,
  diskFullRetryMs: 1_000,
  diskStallMs: 4_000,
  diskSlowMs: 100,
  leaderLateMs: 250,
  diskSoftBytes: 128 * 1024 * 1024,
  diskReserveBytes: 64 * 1024 * 1024,
  reportIntervalMs: 1_000,
  hashEveryEntries: 512,
};
