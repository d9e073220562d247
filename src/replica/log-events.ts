/**
 * Every message that a running member logs about consensus, the registry and its disk, in one place, and the figures that go with them. What
 * stands at `info` and above, read from top to bottom, should let an operator retell what happened. A condition that lasts is logged when
 * it begins and when it ends.
 */

import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { RaftEvent } from "../raft/io.ts";
import type { Index, NodeId } from "../raft/types.ts";
import type { CommandKind, RegistryEvent } from "../registry/commands.ts";
import type { ReplicaObserver, WriteOutcome } from "./observer.ts";
import type { StorageFailure } from "./ports.ts";
import type { Disagreement } from "./state-agreement.ts";

/** Expiries of one entry that get a line each; more of them share one. */
const expiriesLoggedMax = 20;

/** A log write slower than this is worth a line; it counts as over once one is four times faster. */
const slowWriteMs = 1_000;

export class LogEvents implements ReplicaObserver {
  readonly #id: NodeId;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #onFatal: (error: unknown) => void;
  #leader: NodeId | null = null;
  #isDiskSlow = false;
  /** Failures of the disk that last, by part. */
  readonly #failures = new Map<string, StorageFailure["kind"]>();
  /** Services under expiry protection, as namespace/service. */
  readonly #protected = new Set<string>();

  constructor(options: {
    readonly id: NodeId;
    readonly logger: Logger;
    readonly metrics: Metrics;
    /** Must end the process with a non-zero status. */
    readonly onFatal: (error: unknown) => void;
  }) {
    this.#id = options.id;
    this.#logger = options.logger;
    this.#metrics = options.metrics;
    this.#onFatal = options.onFatal;
  }

  raft(event: RaftEvent): void {
    const log = this.#logger;
    switch (event.kind) {
      case "roleChanged":
        return this.#roleChanged(event);
      case "leaderChanged":
        return this.#leaderChanged(event);
      case "votedFor":
        return log.debug({ candidate: event.candidate, term: event.term }, "voted");
      case "membershipChanged": {
        const { voters, outgoing, learners } = event.membership;
        const joint = outgoing.length === 0 ? {} : { outgoing };
        return log.info({ voters, ...joint, learners, index: event.at.index }, "membership changed");
      }
      case "truncated":
        return log.info(
          { after: event.after, dropped: event.dropped },
          "dropped entries that were never committed",
        );
      case "transferStarted":
        return log.info({ to: event.to }, "handing leadership over");
      case "transferAborted":
        return log.warn({ to: event.to, reason: event.reason }, "leadership was not handed over");
      case "steppedDown":
        return log.warn({ term: event.term, reason: event.reason }, "stepped down");
      case "messageIgnored":
        return log.debug({ type: event.type, from: event.from, reason: event.reason }, "ignored a message");
      case "removed":
        return log.warn({ index: event.index }, "removed from the cluster");
      case "memoryLost":
        return log.error(
          { acknowledged: event.acknowledgedIndex, held: event.lastIndex },
          "the log ends before what this member has acknowledged: its disk has lost something, and its vote does not count until the others have moved on without it",
        );
      case "recovered":
        return log.info({ index: event.index }, "memory is whole again: votes and counts from now on");
    }
  }

  registryEvents(events: readonly RegistryEvent[], isReplay: boolean): void {
    for (const event of events) {
      this.#metrics.registryChanged(event.type);
      if (event.type === "service") this.#protectionChanged(event, isReplay);
    }
    const expired = events.filter((event) => event.type === "delete" && event.reason === "expired");
    for (const _ of expired) this.#metrics.expired();
    // A line bears the time at which it is written, and so would tell the past as news.
    if (!isReplay) this.#logExpiries(expired);
  }

  applied(): void {
    // The applied index is sampled when metrics are asked for.
  }

  writeEnded(kind: CommandKind, outcome: WriteOutcome, durationMs: number): void {
    this.#metrics.writeEnded(outcome, durationMs);
    if (kind === "renew" || kind === "renewOne") {
      this.#metrics.renewals(outcome === "committed" ? "renewed" : "refused", 1);
    }
  }

  persisted(entries: number, durationMs: number): void {
    this.#metrics.logWritten(entries, durationMs);
    this.#healed("log");
    if (!this.#isDiskSlow && durationMs >= slowWriteMs) {
      this.#isDiskSlow = true;
      this.#logger.warn({ durationMs: Math.round(durationMs) }, "disk is slow: a log write took long");
    } else if (this.#isDiskSlow && durationMs <= slowWriteMs / 4) {
      this.#isDiskSlow = false;
      this.#logger.info({ durationMs: Math.round(durationMs) }, "disk is fast again");
    }
  }

  imageWritten(records: number, synced: boolean, durationMs: number): void {
    this.#metrics.imageWritten(synced, durationMs);
    this.#healed("image");
    this.#logger.debug({ records, synced, durationMs: Math.round(durationMs) }, "state image written");
  }

  compacted(index: Index): void {
    this.#logger.debug({ index }, "log compacted");
  }

  snapshotOffered(to: NodeId, index: Index): void {
    this.#metrics.snapshot("sent");
    this.#logger.info({ to, index }, "sending a snapshot: the log no longer reaches back far enough");
  }

  snapshotInstalled(from: NodeId, index: Index, durationMs: number): void {
    this.#metrics.snapshot("installed");
    this.#logger.info({ from, index, durationMs: Math.round(durationMs) }, "installed a snapshot");
  }

  storageFailed(where: "log" | "image", failure: StorageFailure): void {
    this.#metrics.storageFailed(where, failure.kind);
    if (this.#failures.get(where) === failure.kind) return;
    this.#failures.set(where, failure.kind);
    const fields = { part: where, reason: failure.message };
    if (failure.kind === "full") this.#logger.warn(fields, "disk is full: waiting for space");
    else this.#logger.error(fields, "disk failed: this member no longer takes part");
  }

  roomChanged(isShort: boolean, freeBytes: number | null, neededBytes: number): void {
    if (isShort) {
      const message = "too little room on the disk: refuses what makes the registry grow until there is more";
      this.#logger.warn({ freeBytes, neededBytes }, message);
    } else this.#logger.info({ freeBytes }, "enough room on the disk again");
  }

  diskHandOver(to: NodeId, writeMs: number): void {
    const fields = { to, writeMs: Math.round(writeMs) };
    this.#logger.warn(fields, `disk is slow: handing leadership to ${to}, whose disk is faster`);
  }

  roomHandOver(to: NodeId): void {
    this.#logger.warn({ to }, `no room on the disk: handing leadership to ${to}, which has room`);
  }

  paceHandOver(to: NodeId, lateMs: number): void {
    const fields = { to, lateMs: Math.round(lateMs) };
    this.#logger.warn(fields, `falls behind with its own work: handing leadership to ${to}, which keeps up`);
  }

  stateDiffers({ index, own, others, members, isOddOneOut }: Disagreement): void {
    const message = isOddOneOut
      ? "this member's state differs from that of the majority"
      : "members hold different states, and no majority says which is right";
    this.#logger.error({ index, own, others, members }, message);
  }

  fatal(error: unknown): void {
    this.#logger.error(
      { err: error },
      "cannot go on: ending, rather than to guess and differ from the others",
    );
    this.#onFatal(error);
  }

  #roleChanged({ role, term, reason }: Extract<RaftEvent, { kind: "roleChanged" }>): void {
    switch (role) {
      case "leader":
        return this.#logger.info({ term, reason }, "became leader");
      case "candidate":
        this.#metrics.electionStarted();
        return this.#logger.info({ term, reason }, "started an election");
      case "preCandidate":
      case "follower":
        // Repeats while a member is alone; what matters is said when the leader changes.
        return this.#logger.debug({ role, term, reason }, "role changed");
    }
  }

  #leaderChanged({ leader, term }: Extract<RaftEvent, { kind: "leaderChanged" }>): void {
    if (leader === this.#leader) return;
    this.#leader = leader;
    if (leader === null) return this.#logger.warn({ term }, "no leader");
    this.#metrics.leaderChanged();
    if (leader !== this.#id) this.#logger.info({ leader, term }, `following ${leader} in term ${term}`);
  }

  #logExpiries(expired: readonly RegistryEvent[]): void {
    for (const event of expired) {
      if (event.type !== "delete" || expired.length > expiriesLoggedMax) continue;
      const { namespace, service, id, revision } = event;
      this.#logger.info({ namespace, service, id, revision }, "instance expired");
    }
    if (expired.length <= expiriesLoggedMax) return;
    const services = new Set(expired.map((event) => ("service" in event ? event.service : "")));
    this.#logger.info(
      { instances: expired.length, services: [...services].slice(0, 10) },
      "instances expired",
    );
  }

  #protectionChanged(event: Extract<RegistryEvent, { type: "service" }>, isReplay: boolean): void {
    const { namespace, service, revision } = event;
    const name = `${namespace}/${service}`;
    if (event.protected === this.#protected.has(name)) return;
    if (event.protected) this.#protected.add(name);
    else this.#protected.delete(name);
    const about = { namespace, service, revision };
    if (isReplay) return;
    if (event.protected)
      this.#logger.warn(about, "too many leases ran out at once: the rest stays listed as suspect");
    else this.#logger.info(about, "expiry protection ended");
  }

  #healed(part: "log" | "image"): void {
    if (this.#failures.delete(part)) this.#logger.info({ part }, "disk can be written again");
  }
}
