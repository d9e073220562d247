/**
 * What can be set in the core: times in ticks, sizes in counts and bytes. The conversion from milliseconds is the driver's.
 */

export interface RaftConfig {
  /** Lower bound of the election timeout; each wait is drawn from [electionTicks, 2 * electionTicks). Default 20. */
  readonly electionTicks: number;
  /** Ticks between heartbeats. Default 2. */
  readonly heartbeatTicks: number;
  /** Milliseconds a tick stands for; used only to draw the wait after a lost stream (0-100 ms, then 50-200 ms). Default 50. */
  readonly tickMs: number;
  /** The most entry bytes in one Append. At least one entry is always sent. Default 1 MiB. */
  readonly appendBytesMax: number;
  /** The most Appends in flight to one follower before it acknowledges. Default 16. */
  readonly inflightMessagesMax: number;
  /** The most entry bytes in flight to one follower. Default 4 MiB. */
  readonly inflightBytesMax: number;
  /** The most bytes of entries that a leader appends beyond its commit index before it refuses proposals; of ordinary ones nine tenths. Default 64 MiB. */
  readonly uncommittedBytesMax: number;
  /** The most entries handed over in one `apply` effect. Default 1024. */
  readonly applyEntriesMax: number;
  /** The most entry bytes in one `apply` effect, but at least one entry: a page is applied in one go. Default 256 KiB. */
  readonly applyBytesMax: number;
  /** The most linearizable reads that wait at once. Default 10000. */
  readonly pendingReadsMax: number;
  /** A learner is promoted only when at most this many entries are missing from it, none of them its own admission. Default 64. */
  readonly promotionLagMax: number;
  /** How long a new leader holds the cluster clock still, milliseconds. Default 2000. */
  readonly electionGraceMs: number;
  /** A grace is given at most once in this much cluster time, milliseconds. Default 60000. */
  readonly electionGraceIntervalMs: number;
  /** The most that the cluster clock advances at one stamp, milliseconds. Default 1000. */
  readonly clockStepMaxMs: number;
  /** While leases exist, a leader appends a clock entry when its last stamp is this old, milliseconds. Default 1000. */
  readonly clockEntryIntervalMs: number;
}

export const defaultRaftConfig: RaftConfig = {
  electionTicks: 20,
  heartbeatTicks: 2,
  tickMs: 50,
  appendBytesMax: 1024 * 1024,
  inflightMessagesMax: 16,
  inflightBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  applyEntriesMax: 1024,
  applyBytesMax: 256 * 1024,
  pendingReadsMax: 10_000,
  promotionLagMax: 64,
  electionGraceMs: 2000,
  electionGraceIntervalMs: 60_000,
  clockStepMaxMs: 1000,
  clockEntryIntervalMs: 1000,
};

/** What is wrong with a configuration, a sentence each; empty when nothing is. */
export function validateRaftConfig(config: RaftConfig): string[] {
  const faults: string[] = [];
  const demand = (holds: boolean, sentence: string): void => {
    if (!holds) faults.push(sentence);
  };
  for (const [name, value] of Object.entries(config)) {
    const min = mayBeZero.has(name) ? 0 : 1;
    demand(
      Number.isSafeInteger(value) && value >= min,
      `${name} (${value}) must be an integer of at least ${min}`,
    );
  }
  const {
    electionTicks,
    heartbeatTicks,
    appendBytesMax,
    inflightBytesMax,
    clockEntryIntervalMs,
    clockStepMaxMs,
    tickMs,
  } = config;
  demand(
    electionTicks > heartbeatTicks,
    `electionTicks (${electionTicks}) must be greater than heartbeatTicks (${heartbeatTicks})`,
  );
  demand(
    inflightBytesMax >= appendBytesMax,
    `inflightBytesMax (${inflightBytesMax}) must be at least appendBytesMax (${appendBytesMax})`,
  );
  demand(
    clockEntryIntervalMs <= clockStepMaxMs,
    `clockEntryIntervalMs (${clockEntryIntervalMs}) must be at most clockStepMaxMs (${clockStepMaxMs}), or an idle cluster's clock falls behind`,
  );
  demand(
    tickMs < clockEntryIntervalMs,
    `tickMs (${tickMs}) must be less than clockEntryIntervalMs (${clockEntryIntervalMs})`,
  );
  return faults;
}

/** Zero switches these off. */
const mayBeZero: ReadonlySet<string> = new Set([
  "promotionLagMax",
  "electionGraceMs",
  "electionGraceIntervalMs",
]);
