/**
 * One running member: what clients, operators and peers can ask of it.
 *
 * Everything here is synchronous and driven by calls: `tick`, messages and requests from peers, and the callbacks of the ports. It owns no
 * timer and no promise, so the simulator runs it unchanged. `PromisedMember` is what HTTP sees of it.
 */

import { RollcallError } from "../lib/errors.ts";
import type { MembershipChange, RaftStatus } from "../raft/io.ts";
import type { Index, Membership, NodeId, Term } from "../raft/types.ts";
import type { Message } from "../raft/messages.ts";
import type { RaftCore } from "../raft/raft-core.ts";
import type { Command, RegistryEvent } from "../registry/commands.ts";
import type { Registry } from "../registry/registry.ts";
import type { AdminEnd } from "./admin.ts";
import { isGrowth } from "./command-size.ts";
import { commandInWords } from "./command-words.ts";
import { isHashNear } from "./hash-upkeep.ts";
import type { ReadinessCheck, ReadOptions, Renewal, RenewalResult, WriteOptions } from "./member.ts";
import type { WriteOutcome } from "./observer.ts";
import type { ImageSource, PeerHandler, PeerReply, PeerRequest, PeerView, StorageFailure } from "./ports.ts";
import { readinessChecks } from "./readiness.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import type { ReadEnd } from "./reads.ts";
import { ClusterWatchProgress, type WatchProgress } from "./watch-progress.ts";
import { Wiring } from "./wiring.ts";
import type { WriteEnd } from "./pending-write.ts";

export class Replica implements PeerHandler {
  readonly #wiring: Wiring;
  readonly #watches: ClusterWatchProgress;
  #stopping = false;

  /** @param registry What the recovered image holds. */
  constructor(options: ReplicaOptions, registry: Registry) {
    this.#wiring = new Wiring(options, registry);
    this.#watches = new ClusterWatchProgress({
      self: options.id,
      peers: options.ports.peers,
      otherMembers: () =>
        this.status.membership.members.map((member) => member.id).filter((id) => id !== this.id),
    });
  }

  /** Takes part from now on: peers are dialled, and the next ticks may start an election. */
  start(): void {
    this.#wiring.followMembership(this.status.membership, this.#wiring.core.membershipId);
    this.#wiring.driver.wake();
  }

  /**
   * One step of logical time, every `raft.tickMs`. Deliver it after pending socket reads, or a process that stalled starts elections over
   * heartbeats that it has already received.
   */
  tick(): void {
    const { driver, health } = this.#wiring;
    // Whoever cannot write cannot win an election: without ticks it does not try to.
    if (health.isStalled && !this.isLeader) return driver.wake();
    driver.enqueue({ kind: "tick", leasesExist: this.registry.leaseCount > 0 });
  }

  /** The first step of a graceful stop: not ready any more, and somebody else leads if anybody can. Requests are still served. */
  handOver(done: () => void): void {
    this.#stopping = true;
    this.#wiring.admin.handOver(done);
  }

  /** Hands leadership over, ends what still waits, and makes the image durable. Calls back when the ports may be closed. */
  stop(done: () => void): void {
    const { image, driver, snapshotOffers } = this.#wiring;
    this.handOver(() => {
      this.#wiring.closeWaiters("this member is stopping");
      image.sync(() => {
        driver.stop();
        snapshotOffers.close();
        done();
      });
    });
  }

  /** The inside, for invariants and tests only. */
  get core(): RaftCore {
    return this.#wiring.core;
  }

  // What clients ask.

  get id(): NodeId {
    return this.#wiring.options.id;
  }

  get clusterId(): string {
    return this.#wiring.options.clusterId;
  }

  get version(): string {
    return this.#wiring.options.version;
  }

  get registry(): Registry {
    return this.#wiring.applier.registry;
  }

  get status(): RaftStatus {
    return this.#wiring.core.status;
  }

  get membership(): Membership {
    return this.#wiring.core.membership;
  }

  get isLeader(): boolean {
    return this.#wiring.isLeader;
  }

  leader(): NodeId | null {
    return this.#wiring.core.leader;
  }

  term(): Term {
    return this.#wiring.core.term;
  }

  /**
   * Whether this member's start has not caught up yet, or what came of it is not all written to its image, or not taken up into its state
   * hash.
   */
  get isStarting(): boolean {
    const { isReplaying, image } = this.#wiring;
    return isReplaying || image.isReplayUnwritten || !isHashNear(this.registry);
  }

  /** Milliseconds; `unknownStaleMs` while unknown. */
  staleMs(): number {
    return this.#wiring.staleMs();
  }

  /** This member's estimate of cluster time: the leader's own clock, elsewhere the last stamp plus the time since, within one stamp's step. */
  clusterNow(): number {
    const { core, options, appliedAtMs } = this.#wiring;
    const nowMs = this.#wiring.nowMs();
    if (this.isLeader) return core.clusterTime(nowMs);
    return (
      this.registry.clusterTime +
      Math.round(Math.min(nowMs - appliedAtMs, options.settings.raft.clockStepMaxMs))
    );
  }

  submit(command: Command, options: WriteOptions, end: (end: WriteEnd) => void): void {
    const noRoomAt = isGrowth(command) ? this.#wiring.health.noRoomAt : null;
    if (noRoomAt !== null) {
      const detail = `the disk of ${noRoomAt} has too little room left, so the ${commandInWords(command)} was refused; make room there. Deregistrations and renewals still work`;
      return end({ kind: "error", error: new RollcallError("storage_full", detail) });
    }
    const startedMs = this.#wiring.nowMs();
    const { idempotencyKey, by, timeoutMs } = options;
    this.#wiring.enqueueWrite(
      command,
      { idempotencyKey, by, deadlineMs: startedMs + timeoutMs, awaitApplied: true },
      (ended) => {
        this.#wiring.options.observer.writeEnded(
          command.kind,
          outcomeOf(ended),
          this.#wiring.nowMs() - startedMs,
        );
        end(ended);
      },
    );
  }

  renew(renewal: Renewal, timeoutMs: number, end: (result: RenewalResult) => void): void {
    const startedMs = this.#wiring.nowMs();
    this.#wiring.renewals.renew(renewal, timeoutMs, (result) => {
      this.#wiring.options.observer.writeEnded(
        "renew",
        result.ok ? "committed" : "failed",
        this.#wiring.nowMs() - startedMs,
      );
      end(result);
    });
  }

  /** Writes and renewals that were taken and have not ended yet. */
  waiting(): { readonly writes: number; readonly renewals: number } {
    return { writes: this.#wiring.queue.openWrites, renewals: this.#wiring.renewals.length };
  }

  /** With a broken disk what was applied before can still be read, with its age. */
  read(options: ReadOptions, end: ReadEnd): void {
    const { diskFailure, reads } = this.#wiring;
    const needsOthers =
      options.consistency === "linearizable" || (options.minRevision ?? 0) > this.registry.revision;
    if (diskFailure !== null && needsOthers) return end(this.#wiring.refusal("none"));
    reads.allow(options, end);
  }

  /** Called once for each applied entry that changed something. Returns how to stop. */
  onEvents(listener: (events: readonly RegistryEvent[]) => void): () => void {
    this.#wiring.listeners.add(listener);
    return () => this.#wiring.listeners.delete(listener);
  }

  /** Says how to find out that every watch open on this member has been sent a revision. */
  setWatchProgress(progress: WatchProgress): void {
    this.#watches.local = progress;
  }

  /** Ends with the members whose watches had not all been sent `revision` in `budgetMs`; empty when all had. */
  awaitWatches(revision: number, budgetMs: number, end: (waitingFor: readonly NodeId[]) => void): void {
    this.#watches.await(revision, budgetMs, end);
  }

  // What operators ask.

  clusterStatus(end: (views: readonly PeerView[]) => void): void {
    this.#wiring.admin.clusterStatus(end);
  }

  transferLeadership(to: NodeId | null, timeoutMs: number, end: AdminEnd): void {
    this.#wiring.admin.transferLeadership(to, timeoutMs, end);
  }

  changeMembership(change: MembershipChange, timeoutMs: number, end: AdminEnd): void {
    this.#wiring.admin.changeMembership(change, timeoutMs, end);
  }

  /** Writes the image durably and drops the log below it. Calls back with the index that the image holds. */
  compact(end: (index: Index, failure: StorageFailure | null) => void): void {
    const { image } = this.#wiring;
    image.sync((failure) => end(image.syncedIndex, failure));
  }

  /** A view of the image as it is durable now, everything applied so far included. */
  backup(end: (failure: StorageFailure | null, source: ImageSource | null) => void): void {
    const { image, options } = this.#wiring;
    image.sync((failure) => {
      if (failure === null) options.ports.state.openImage(end);
      else end(failure, null);
    });
  }

  readiness(): ReadinessCheck[] {
    const { lane, health, options } = this.#wiring;
    return readinessChecks({
      status: this.status,
      staleMs: this.staleMs(),
      diskFull: lane.full,
      diskFailure: this.#wiring.diskFailure,
      noRoomAt: health.noRoomAt,
      diskPendingMs: options.ports.log.oldestPendingMs(this.#wiring.nowMs()),
      diskStallMs: options.settings.diskStallMs,
      stopping: this.#stopping,
    });
  }

  // What peers ask.

  receive(message: Message): void {
    if (message.type === "timeoutNow" && this.#wiring.health.isStalled) return;
    this.#wiring.driver.receive(message);
  }

  streamLost(id: NodeId): void {
    this.#wiring.driver.enqueue({ kind: "streamLost", id });
  }

  unreachable(id: NodeId): void {
    this.#wiring.driver.enqueue({ kind: "unreachable", id });
  }

  answer(from: NodeId, request: PeerRequest, reply: (reply: PeerReply) => void): void {
    const { driver, router, admin } = this.#wiring;
    switch (request.kind) {
      case "propose":
        return driver.inTurn(() => router.proposeForwarded(request, reply));
      case "changeMembership":
      case "transfer":
      case "clusterStatus":
        return admin.answer(request, reply);
      case "report":
        return reply({ kind: "report", report: this.#wiring.health.exchange(from, request.report) });
      case "awaitWatches":
        return this.#watches.local(request.revision, request.budgetMs, (reached) =>
          reply({ kind: "watches", reached }),
        );
    }
  }

  readSnapshot(id: string, position: number, done: (chunk: Uint8Array | null | undefined) => void): void {
    this.#wiring.snapshotOffers.read(id, position, done);
  }
}

function outcomeOf(end: WriteEnd): WriteOutcome {
  if (end.kind === "result") return end.result.ok ? "committed" : "failed";
  return end.error.outcome === "unknown" ? "unknown" : "rejected";
}
