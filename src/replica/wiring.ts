/**
 * The parts of one replica, and how they are joined: whatever one of them completes goes back into the mailbox. What the core's effects
 * make them do stands in `raft-handlers.ts`, what can be asked of a replica in `replica.ts`, a drawing of it all in README.md.
 */

import { RollcallError } from "../lib/errors.ts";
import { RaftCore } from "../raft/raft-core.ts";
import { stalenessUnknownMs } from "../raft/staleness.ts";
import type { BootState, EntryId, Index, Membership } from "../raft/types.ts";
import type { Command, Envelope, RegistryEvent } from "../registry/commands.ts";
import type { Registry } from "../registry/registry.ts";
import { Admin } from "./admin.ts";
import { AppliedWaiters } from "./applied-waiters.ts";
import { Applier } from "./applier.ts";
import { Expiry, expireWaitMs } from "./expiry.ts";
import { Health } from "./health.ts";
import { ImageWriter } from "./image-writer.ts";
import type { WriteOptions } from "./member.ts";
import { proposeOwn } from "./own-proposal.ts";
import type { PendingWrite, WriteEnd } from "./pending-write.ts";
import type { LogBase, Recovered, StorageFailure } from "./ports.ts";
import { Proposals } from "./proposals.ts";
import { RaftDriver } from "./raft-driver.ts";
import { raftHandlers } from "./raft-handlers.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import { Reads } from "./reads.ts";
import { Renewals } from "./renewals.ts";
import { SnapshotFetch } from "./snapshot-fetch.ts";
import { SnapshotInstallation } from "./snapshot-installation.ts";
import { SnapshotOffers } from "./snapshot-offers.ts";
import { StorageLane } from "./storage-lane.ts";
import { WriteQueue } from "./write-queue.ts";
import { WriteRouter } from "./write-router.ts";

/** Who asks for a write, as far as the log tells. */
type Asker = Pick<WriteOptions, "idempotencyKey" | "by">;

/** Of what no single client has asked for: collected renewals, expiries. */
const noClient = { idempotencyKey: null, by: null } as const;
const urgent = { priority: "urgent" } as const;
const brokenDisk = "this member's disk failed";

export class Wiring {
  readonly options: ReplicaOptions;
  readonly driver: RaftDriver;
  readonly lane: StorageLane;
  readonly queue: WriteQueue;
  readonly proposals = new Proposals();
  readonly router: WriteRouter;
  readonly applier: Applier;
  readonly appliedIndex: AppliedWaiters;
  readonly revision: AppliedWaiters;
  readonly renewals: Renewals;
  readonly reads: Reads;
  readonly expiry: Expiry;
  readonly image: ImageWriter;
  readonly snapshotOffers: SnapshotOffers;
  readonly snapshotFetch: SnapshotFetch;
  readonly admin: Admin;
  readonly health: Health;
  readonly listeners = new Set<(events: readonly RegistryEvent[]) => void>();
  /** When the last entry was applied here, on the monotonic clock. */
  appliedAtMs: number;
  /** Unlike that of any process before this one, so that a late reply to it confirms nothing here. */
  readonly #processSeed: string;
  #readCount = 0;
  #diskFailure: StorageFailure | null = null;

  constructor(options: ReplicaOptions, registry: Registry) {
    const { image } = options.recovered;
    this.options = { ...options, recovered: withoutContents(options.recovered) };
    this.#processSeed = Math.floor(options.ports.random() * Number.MAX_SAFE_INTEGER).toString(36);
    this.appliedAtMs = options.ports.clock.monotonicMs();
    this.appliedIndex = new AppliedWaiters(image.base.last.index);
    this.revision = new AppliedWaiters(registry.revision);
    this.applier = this.#makeApplier(registry, image.base);
    this.lane = this.#makeLane();
    this.driver = this.#makeDriver(options.recovered.boot);
    this.queue = new WriteQueue(options.settings);
    this.router = this.#makeRouter();
    this.renewals = this.#makeRenewals();
    this.reads = this.#makeReads();
    this.expiry = this.#makeExpiry();
    this.image = this.#makeImageWriter();
    this.snapshotOffers = this.#makeSnapshotOffers();
    this.snapshotFetch = this.#makeSnapshotFetch();
    this.admin = this.#makeAdmin();
    this.health = this.#makeHealth();
  }

  get core(): RaftCore {
    return this.driver.core;
  }

  get isLeader(): boolean {
    return this.core.leader === this.options.id;
  }

  /** Why this member takes no part any more; null while it does. */
  get diskFailure(): StorageFailure | null {
    return this.#diskFailure;
  }

  /** For what only a member with a disk can do. */
  refusal(outcome: "none" | "not_applied"): RollcallError {
    return new RollcallError("unavailable", `${brokenDisk}; ask another member`, {
      outcome,
      retryAfterMs: 100,
    });
  }

  nowMs(): number {
    return this.options.ports.clock.monotonicMs();
  }

  /** Milliseconds; `unknownStaleMs` while unknown. */
  staleMs(): number {
    return Math.round(this.core.staleness(this.nowMs()));
  }

  /** Whether this member has not yet applied, since its start, all that a leader knew to be committed. */
  get isReplaying(): boolean {
    return this.staleMs() === stalenessUnknownMs;
  }

  enqueueWrite(
    command: Command,
    write: Asker & Pick<PendingWrite, "deadlineMs" | "awaitApplied">,
    end: (end: WriteEnd) => void,
  ): void {
    const { deadlineMs, awaitApplied } = write;
    if (this.#diskFailure !== null) return end({ kind: "error", error: this.refusal("not_applied") });
    const startedMs = this.nowMs();
    const isTaken = this.queue.add({
      envelope: this.#envelopeOf(command, write),
      deadlineMs,
      startedMs,
      awaitApplied,
      mayBeApplied: false,
      end,
    });
    if (isTaken) this.driver.wake();
  }

  /** Dials whoever belongs to the cluster now, by the membership that stands there in the log. */
  followMembership(membership: Membership, at: EntryId): void {
    const others = membership.members.filter((member) => member.id !== this.options.id);
    this.options.ports.peers.setPeers(others, at);
  }

  /** The state machine stands at this index now. */
  advanceTo(index: Index): void {
    this.appliedIndex.advance(index);
    this.revision.advance(this.applier.registry.revision);
  }

  /** Ends everything that waits for something. `why` becomes part of what is answered: "this member is stopping". */
  closeWaiters(why: string): void {
    this.queue.close(why);
    this.router.close(why);
    this.proposals.close();
    this.appliedIndex.close();
    this.revision.close();
    this.reads.close(why);
  }

  #makeApplier(registry: Registry, base: LogBase): Applier {
    const { codec } = this.options.ports;
    return new Applier({
      registry,
      base,
      codec,
      proposals: this.proposals,
      onEvents: (events) => this.#publish(events),
      onApplied: (index) => this.health.applied(index),
    });
  }

  #makeLane(): StorageLane {
    const { log, clock, scheduler, peers } = this.options.ports;
    return new StorageLane({
      log,
      clock,
      scheduler,
      observer: this.options.observer,
      diskFullRetryMs: this.options.settings.diskFullRetryMs,
      send: (message) => peers.send(message),
      onWritten: (startedAtMs) => this.health.written(startedAtMs),
      onStored: (seq) => this.driver.enqueue({ kind: "stored", seq }),
      onFailed: (failure) => this.#diskFailed(failure),
    });
  }

  #makeDriver(boot: BootState): RaftDriver {
    const { id, incarnation, ports, settings } = this.options;
    const core = new RaftCore({
      id,
      incarnation,
      config: settings.raft,
      boot,
      random: ports.random,
    });
    return new RaftDriver({
      core,
      lane: this.lane,
      clock: ports.clock,
      scheduler: ports.scheduler,
      handlers: raftHandlers(this),
    });
  }

  #makeRouter(): WriteRouter {
    const { ports, settings, id } = this.options;
    return new WriteRouter({
      self: id,
      queue: this.queue,
      proposals: this.proposals,
      appliedIndex: this.appliedIndex,
      codec: ports.codec,
      peers: ports.peers,
      scheduler: ports.scheduler,
      forwardsInflightMax: settings.forwardsInflightMax,
      retryDelayMs: settings.retryDelayMs,
      leadership: () => ({ leader: this.core.leader, term: this.core.term }),
      propose: (ctx, { payload, ifTerm, isUrgent }) =>
        this.driver.step({ kind: "propose", ctx, payload, ifTerm, ...(isUrgent ? urgent : {}) }),
      nowMs: () => this.nowMs(),
      wake: () => this.driver.wake(),
    });
  }

  #makeRenewals(): Renewals {
    const { ports, settings } = this.options;
    return new Renewals({
      registry: () => this.applier.registry,
      scheduler: ports.scheduler,
      windowMs: settings.renewalWindowMs,
      perCommandMax: settings.renewalsPerCommandMax,
      openMax: settings.openRenewalsMax,
      nowMs: () => this.nowMs(),
      submit: (command, deadlineMs, end) => this.#enqueueInternal(command, deadlineMs, end),
    });
  }

  #makeReads(): Reads {
    const { ports, settings, incarnation } = this.options;
    return new Reads({
      nextId: () => `${incarnation}-${this.#processSeed}-${++this.#readCount}`,
      scheduler: ports.scheduler,
      appliedIndex: this.appliedIndex,
      revision: this.revision,
      retryDelayMs: settings.retryDelayMs,
      waitingReadsMax: settings.waitingReadsMax,
      startReadWaitMs: settings.startReadWaitMs,
      startedAtMs: this.nowMs(),
      nowMs: () => this.nowMs(),
      staleMs: () => this.staleMs(),
      isReplaying: () => this.isReplaying,
      currentRevision: () => this.applier.registry.revision,
      ask: (ctx, id) => this.driver.step({ kind: "read", ctx, id }),
      wake: () => this.driver.wake(),
    });
  }

  #makeExpiry(): Expiry {
    return new Expiry({
      nextDeadline: () => this.applier.registry.nextDeadline(),
      isLeader: () => this.isLeader && this.#diskFailure === null,
      clusterTime: () => this.core.clusterTime(this.nowMs()),
      propose: (command, end) => proposeOwn(this, this.#envelopeOf(command, noClient), expireWaitMs, end),
      wake: () => this.driver.wake(),
    });
  }

  #makeImageWriter(): ImageWriter {
    const { ports, settings, observer } = this.options;
    return new ImageWriter({
      applier: this.applier,
      state: ports.state,
      clock: ports.clock,
      scheduler: ports.scheduler,
      observer,
      flushIntervalMs: settings.flushIntervalMs,
      flushRecordsMax: settings.flushRecordsMax,
      isReplaying: () => this.isReplaying,
      replayRecordsMax: settings.replayRecordsMax,
      fullRetryMs: settings.diskFullRetryMs,
      syncIntervalMs: settings.imageSyncIntervalMs,
      writtenIndex: this.applier.base.last.index,
      onSynced: (index) => {
        const { retainEntries, retainBytes } = settings;
        this.driver.enqueue({ kind: "compact", index, retainEntries, retainBytes });
      },
      onFailed: (failure) => this.#diskFailed(failure),
    });
  }

  #makeSnapshotOffers(): SnapshotOffers {
    const { ports, settings, observer, id } = this.options;
    return new SnapshotOffers({
      self: id,
      idPrefix: `${id}-${this.#processSeed}`,
      state: ports.state,
      peers: ports.peers,
      clock: ports.clock,
      observer,
      idleMs: settings.snapshotIdleMs,
      ledTerm: () => (this.isLeader ? this.core.term : null),
      onSent: (to, snapshotId, ok) => this.driver.enqueue({ kind: "snapshotSent", to, id: snapshotId, ok }),
      onStorageFailed: (failure) => this.#imageFailed(failure),
    });
  }

  #makeSnapshotFetch(): SnapshotFetch {
    const { ports, settings, observer } = this.options;
    const installation = new SnapshotInstallation({
      core: this.core,
      driver: this.driver,
      lane: this.lane,
      log: ports.log,
      applier: this.applier,
      image: this.image,
      observer,
      loadStepsPerTurn: settings.loadStepsPerTurn,
      onAdvanced: (index) => this.advanceTo(index),
      onEvents: (events) => this.#publish(events),
    });
    return new SnapshotFetch({
      state: ports.state,
      peers: ports.peers,
      clock: ports.clock,
      isOutdated: (meta) => meta.last.index <= this.applier.base.last.index,
      pauseImage: (end) => this.image.pause(end),
      resumeImage: () => this.image.resume(),
      onReceived: (snapshot, installed) => installation.begin(snapshot, installed),
      onFailed: (meta) => this.driver.enqueue({ kind: "snapshotFailed", id: meta.id }),
      onStorageFailed: (failure) => this.#imageFailed(failure),
    });
  }

  #makeAdmin(): Admin {
    const { ports, settings, id, version } = this.options;
    return new Admin({
      self: id,
      version,
      driver: this.driver,
      proposals: this.proposals,
      peers: ports.peers,
      scheduler: ports.scheduler,
      nowMs: () => this.nowMs(),
      tickMs: settings.raft.tickMs,
      transferWaitMs: settings.transferWaitMs,
    });
  }

  #makeHealth(): Health {
    const { ports, settings, observer, id } = this.options;
    return new Health({
      self: id,
      peers: ports.peers,
      room: ports.room ?? null,
      settings,
      observer,
      nowMs: () => this.nowMs(),
      status: () => this.core.status,
      leader: () => this.core.leader,
      isReplaying: () => this.isReplaying,
      registry: () => this.applier.registry,
      hasBacklog: () => this.core.hasMoreToApply,
      unreadSinceMs: () => this.driver.unreadSinceMs,
      pendingMs: (nowMs) => Math.max(0, ports.log.oldestPendingMs(nowMs)),
      isFull: () => this.lane.full || this.image.full,
      transfer: (to) => this.driver.enqueue({ kind: "transfer", to }),
      wake: () => this.driver.wake(),
      fatal: (error) => {
        this.driver.stop();
        observer.fatal(error);
      },
    });
  }

  /** Queues what needs no answer from this member's own state machine. */
  #enqueueInternal(command: Command, deadlineMs: number, end: (end: WriteEnd) => void): void {
    this.enqueueWrite(command, { ...noClient, deadlineMs, awaitApplied: false }, end);
  }

  /** A command as it is told in the log: taken by this member, now. */
  #envelopeOf(command: Command, { idempotencyKey, by }: Asker): Envelope {
    return { command, member: this.options.id, at: this.options.ports.clock.wallMs(), idempotencyKey, by };
  }

  #publish(events: readonly RegistryEvent[]): void {
    this.options.observer.registryEvents(events, this.isReplaying);
    for (const listener of this.listeners) listener(events);
  }

  #imageFailed(failure: StorageFailure): void {
    this.options.observer.storageFailed("image", failure);
    this.#diskFailed(failure);
  }

  /** Whichever part of the folder it was: one that cannot be written, or read back, says what the others are worth. */
  #diskFailed(failure: StorageFailure): void {
    if (failure.kind === "full") return;
    this.driver.enqueue({ kind: "storageFailed" });
    if (this.#diskFailure !== null) return;
    this.#diskFailure = failure;
    this.image.diskFailed(failure);
    this.closeWaiters(brokenDisk);
  }
}

/** What was read at the start is in the core and in the registry now; keeping it as well would double the memory. */
function withoutContents({ boot, image }: Recovered): Recovered {
  return { boot: { ...boot, entries: [] }, image: { ...image, records: [], packedRecords: [] } };
}
