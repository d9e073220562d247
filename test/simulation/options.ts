/**
 * The swarm: what one run is like, all of it drawn from its seed.
 *
 * Runs differ in kind and not only in luck: each leaves out most kinds of faults and puts the others to extremes, because faults that
 * are always there hide each other.
 */

import { defaultRaftConfig } from "../../src/raft/config.ts";
import { defaultReplicaSettings, type ReplicaSettings } from "../../src/replica/settings.ts";
import type { WalLimits } from "../../src/storage/wal/write-ahead-log.ts";
import { Random } from "./random.ts";
import type { DiskTiming } from "./world/disk.ts";
import type { PartitionShape } from "./world/links.ts";
import type { NetworkOptions } from "./world/network.ts";

/** How often each kind of fault comes, relative to the others; 0 for never in this run. */
export interface FaultWeights {
  readonly partition: number;
  readonly splitLeader: number;
  readonly heal: number;
  readonly resetConnections: number;
  readonly badNetwork: number;
  readonly crash: number;
  readonly stop: number;
  readonly powerLoss: number;
  readonly crashAll: number;
  readonly pause: number;
  readonly clockJump: number;
  readonly slowDisk: number;
  readonly hangDisk: number;
  readonly fullDisk: number;
  readonly failDisk: number;
  readonly rotLog: number;
  readonly rotImage: number;
  readonly wipe: number;
  readonly transfer: number;
  readonly membership: number;
  readonly compact: number;
  readonly readdress: number;
}

export type FaultKind = keyof FaultWeights;

/** Faults that strike at chosen moments. */
export interface AmbushOptions {
  /** Chance that a leader is cut off in the very moment at which it changes the membership. */
  readonly splitAtChange: number;
  /** Chance that a member installs a received image slowly, and meanwhile gets a leader whose log still has all that it lacks. */
  readonly slowInstall: number;
  /** Chance that a member comes late to its turns while it builds the state of a received image, which takes many of them. */
  readonly slowBuild: number;
  /** Chance that a member is away while another is replaced, and comes back when that one leads. */
  readonly awayAtReplacement: number;
  /** Whether a candidate is left in a term of its own where the liveness phase begins. */
  readonly strandsCandidate: boolean;
  /** Those of several acts (`nemesis/staged.ts`) that this run has. */
  readonly staged: readonly StagedAmbush[];
}

export const stagedAmbushes = [
  "lateAcknowledgement",
  "overtakenImage",
  "slowLoop",
  "hungDisk",
  "returningMember",
  "brokenLink",
  "lateWinner",
] as const;
export type StagedAmbush = (typeof stagedAmbushes)[number];

/** Those that seeds did not draw when there were few. */
const later: readonly StagedAmbush[] = stagedAmbushes.slice(4);

/** In runs with an overtaken image a leader keeps at most so many entries for those that are behind: otherwise nobody would need an image. */
export const retainedMax = 3;

export interface SimulationOptions {
  readonly seed: number;
  readonly members: number;
  /** The safety phase ends after so many events. */
  readonly eventsMax: number;
  readonly settings: ReplicaSettings;
  readonly wal: WalLimits;
  readonly network: NetworkOptions;
  readonly disk: DiskTiming;
  readonly tearsWrites: boolean;
  /** Each member's clock runs at a rate in [1 - drift, 1 + drift]. */
  readonly clockDrift: number;
  readonly clients: number;
  readonly watchers: number;
  /** Mean pause of a client between two calls. */
  readonly thinkMs: number;
  readonly callTimeoutMs: number;
  readonly services: number;
  readonly keysPerService: number;
  readonly keyedShare: number;
  /** Whether instances have tags and metadata. */
  readonly hasLabels: boolean;
  /** Mean true time between two faults. */
  readonly faultEveryMs: number;
  readonly faults: FaultWeights;
  readonly ambushes: AmbushOptions;
  /** In the liveness phase the network is healed but for this, at first; null for wholly. */
  readonly settlesUnder: PartitionShape | null;
}

/** A shortest election timeout in milliseconds: the unit in which a run's times are drawn. */
export function electionMs({ raft }: Pick<ReplicaSettings, "raft">): number {
  return raft.electionTicks * raft.tickMs;
}

/**
 * Who is alone makes an entry of few events, and reads all that it has written at each start: such runs cost five times as much as others,
 * and have nobody to disagree with.
 */
const soleMemberShare = 0.25;

export interface OptionLimits {
  /** At most so many events, whatever the seed draws. */
  readonly eventsMax?: number;
  readonly members?: number;
  /** Draws everything, but injects no faults. */
  readonly noFaults?: boolean;
  /** Draws everything but stragglers and ambushes, as seeds did before there were any. */
  readonly noAmbushes?: boolean;
  /** Draws everything but the ambushes that came later, and labels, as seeds did when there were few. */
  readonly earlyAmbushes?: boolean;
}

export function optionsFor(seed: number, limits: OptionLimits = {}): SimulationOptions {
  const random = new Random(seed);
  const drawnMembers = random.weighted([
    [1, 1],
    [1, 2],
    [8, 3],
    [2, 4],
    [8, 5],
    [1, 7],
  ] as const);
  const members = limits.members ?? drawnMembers;
  const hasAmbushes = limits.noFaults !== true && limits.noAmbushes !== true;
  // From streams of their own, so that all else that a seed draws stays as it is.
  const isEarly = limits.earlyAmbushes === true;
  const ambushes = hasAmbushes ? drawAmbushes(new Random(seed ^ 0xa3b5), isEarly) : noAmbushes;
  const loadStepsPerTurn = new Random(seed ^ 0x10ad).pick([1, 5, 2_000]);
  const settings = {
    ...settingsFor(ambushes.options.staged, drawSettings(random.fork())),
    loadStepsPerTurn,
  };
  const timeoutMs = electionMs(settings);
  const eventsShare = members === 1 ? soleMemberShare : 1;
  const drawnEvents = Math.round(20_000 * random.between(0.75, 2) * eventsShare);
  return {
    seed,
    members,
    eventsMax: Math.min(drawnEvents, limits.eventsMax ?? drawnEvents),
    settings,
    wal: drawWalLimits(random.fork()),
    network: {
      ...drawNetwork(random.fork(), timeoutMs),
      stragglerChance: ambushes.stragglerChance,
      stragglerMs: 4 * timeoutMs,
    },
    disk: drawDisk(random.fork(), timeoutMs),
    tearsWrites: random.chance(0.7),
    clockDrift: random.pick([0, 0, 0.0005, 0.05, 0.2]),
    clients: random.integer(2, 6),
    watchers: random.integer(0, 2),
    thinkMs: timeoutMs * random.pick([0.05, 0.2, 0.5]),
    callTimeoutMs: timeoutMs * random.pick([1, 3, 10]),
    services: random.integer(1, 3),
    keysPerService: random.integer(1, 4),
    keyedShare: random.pick([0, 0.3, 0.7, 1]),
    hasLabels: hasAmbushes && !isEarly && new Random(seed ^ 0x1abe1).chance(0.5),
    faultEveryMs: timeoutMs * random.pick([1, 2, 5, 10]),
    faults: {
      ...(limits.noFaults === true ? noFaults : drawFaults(random.fork())),
      readdress: hasAmbushes ? new Random(seed ^ 0xadd7e5).pick([0, 0, 2, 5]) : 0,
      // Whose own disk is not well cannot take over from one whose disk hangs.
      ...(ambushes.options.staged.includes("hungDisk") ? { slowDisk: 0, hangDisk: 0, fullDisk: 0 } : {}),
    },
    ambushes: ambushes.options,
    settlesUnder: ambushes.settlesUnder,
  };
}

function drawSettings(random: Random): ReplicaSettings {
  const tickMs = random.pick([5, 10, 20]);
  const heartbeatTicks = random.pick([1, 1, 2]);
  const electionTicks = heartbeatTicks * random.pick([3, 4, 6, 10]) + 1;
  const appendBytesMax = random.pick([1, 200, 2000, 1024 * 1024]);
  const timeoutMs = electionTicks * tickMs;
  return {
    ...defaultReplicaSettings,
    raft: {
      ...defaultRaftConfig,
      tickMs,
      heartbeatTicks,
      electionTicks,
      appendBytesMax,
      inflightMessagesMax: random.pick([1, 2, 4, 16]),
      inflightBytesMax: Math.max(appendBytesMax, random.pick([1000, 4 * 1024 * 1024])),
      uncommittedBytesMax: random.pick([1000, 10_000, 64 * 1024 * 1024]),
      applyEntriesMax: random.pick([1, 3, 1024]),
      applyBytesMax: appendBytesMax,
      pendingReadsMax: random.pick([1, 3, 10_000]),
      promotionLagMax: random.pick([0, 5, 64]),
      electionGraceMs: random.pick([0, 500, 2000]),
      electionGraceIntervalMs: random.pick([3000, 60_000]),
    },
    renewalWindowMs: random.pick([1, 5, 20]),
    renewalsPerCommandMax: random.pick([1, 3, 10_000]),
    flushIntervalMs: random.pick([1, 3]) * tickMs,
    imageSyncIntervalMs: timeoutMs * random.pick([0.5, 2, 10, 100]),
    retainEntries: random.pick([0, 3, 30, 10_000]),
    entryCommandsMax: random.pick([1, 3, 1000]),
    pendingWritesMax: random.pick([5, 20_000]),
    forwardsInflightMax: random.pick([1, 8]),
    retryDelayMs: tickMs,
    startReadWaitMs: timeoutMs * 3,
    transferWaitMs: timeoutMs * 2,
    announceTimeoutMs: timeoutMs * 3,
    announceRetryMs: timeoutMs,
    snapshotIdleMs: timeoutMs * 5,
    diskFullRetryMs: timeoutMs,
    diskStallMs: timeoutMs * 3,
  };
}

/** Some ambushes need a cluster that is set so that they can succeed. */
function settingsFor(staged: readonly StagedAmbush[], drawn: ReplicaSettings): ReplicaSettings {
  const settings = { ...drawn };
  if (staged.includes("overtakenImage")) settings.retainEntries = Math.min(drawn.retainEntries, retainedMax);
  // Members look at themselves in times of an election here, as everything else happens in these.
  if (staged.includes("slowLoop") || staged.includes("hungDisk"))
    settings.reportIntervalMs = electionMs(drawn);
  if (staged.includes("slowLoop")) settings.leaderLateMs = drawn.raft.tickMs / 4;
  return settings;
}

function drawWalLimits(random: Random): WalLimits {
  return {
    segmentBytesMax: random.pick([300, 2000, 20_000, 64 * 1024 * 1024]),
    groupBytesMax: random.pick([1, 500, 16 * 1024 * 1024]),
    floorLagMs: random.pick([20, 200, 1000]),
    floorLagEntries: random.pick([1, 10, 1024]),
  };
}

function drawNetwork(
  random: Random,
  timeoutMs: number,
): Omit<NetworkOptions, "stragglerChance" | "stragglerMs"> {
  const latencyMs = timeoutMs * random.pick([0.005, 0.01, 0.05]);
  return {
    latencyMs,
    jitterMs: latencyMs * random.pick([0.1, 1, 3]),
    lossChance: random.pick([0, 0, 0, 0.01, 0.1]),
    duplicateChance: random.pick([0, 0, 0.02, 0.2]),
    reorders: random.chance(0.6),
    encodes: random.chance(0.1),
  };
}

function drawDisk(random: Random, timeoutMs: number): DiskTiming {
  const syncMs = timeoutMs * random.pick([0.001, 0.01, 0.05]);
  return { writeMs: syncMs * 0.1, syncMs };
}

interface Ambushed {
  readonly stragglerChance: number;
  readonly options: AmbushOptions;
  readonly settlesUnder: PartitionShape | null;
}

const noAmbushes: Ambushed = {
  stragglerChance: 0,
  options: {
    splitAtChange: 0,
    slowInstall: 0,
    slowBuild: 0,
    awayAtReplacement: 0,
    strandsCandidate: false,
    staged: [],
  },
  settlesUnder: null,
};

/** Each is left out of half of the runs or more. What has come later is drawn later, so that all else stays as it is. */
function drawAmbushes(random: Random, isEarly: boolean): Ambushed {
  const stragglerChance = random.pick([0, 0, 0, 0, 0.003, 0.03]);
  const splitAtChange = random.pick([0, 0, 0.4]);
  const slowInstall = random.pick([0, 1]);
  const awayAtReplacement = random.pick([0, 1]);
  const settlesUnder: PartitionShape | null = random.pick([
    null,
    null,
    null,
    null,
    "ring",
    "bridge",
    "oneWay",
    "deaf",
  ]);
  const slowBuild = random.pick([0, 1]);
  const staged = stagedAmbushes.filter((each) => random.chance(0.25) && !(isEarly && later.includes(each)));
  const strandsCandidate = random.chance(0.25) && !isEarly;
  return {
    stragglerChance,
    options: { splitAtChange, slowInstall, slowBuild, awayAtReplacement, strandsCandidate, staged },
    settlesUnder,
  };
}

const noFaults: FaultWeights = {
  partition: 0,
  splitLeader: 0,
  heal: 0,
  resetConnections: 0,
  badNetwork: 0,
  crash: 0,
  stop: 0,
  powerLoss: 0,
  crashAll: 0,
  pause: 0,
  clockJump: 0,
  slowDisk: 0,
  hangDisk: 0,
  fullDisk: 0,
  failDisk: 0,
  rotLog: 0,
  rotImage: 0,
  wipe: 0,
  transfer: 0,
  membership: 0,
  compact: 0,
  readdress: 0,
};

/** Each kind is left out of about half of the runs; the one that makes logs differ most, of fewer. Healing is never left out, or a partition would last for the rest of the run. */
function drawFaults(random: Random): FaultWeights {
  const kinds = (Object.keys(noFaults) as FaultKind[]).filter((kind) => kind !== "readdress");
  const drawn = Object.fromEntries(
    kinds.map((kind) => [kind, random.chance(0.5) ? random.pick([1, 2, 5]) : 0]),
  ) as Record<FaultKind, number>;
  return { ...drawn, splitLeader: random.pick([0, 5, 15]), heal: 4, readdress: 0 };
}
