/** What the parts of a replica do for the core: at the beginning and at the end of a turn, and for each of its effects. */

import type { RaftEvent } from "../raft/io.ts";
import type { Entry, EntryId, Index, Membership } from "../raft/types.ts";
import type { AppliedWaiters } from "./applied-waiters.ts";
import type { Applier } from "./applier.ts";
import type { Expiry } from "./expiry.ts";
import type { Health } from "./health.ts";
import type { ImageWriter } from "./image-writer.ts";
import type { LogBase } from "./ports.ts";
import type { Proposals } from "./proposals.ts";
import type { RaftDriver, RaftHandlers } from "./raft-driver.ts";
import type { Reads } from "./reads.ts";
import type { Renewals } from "./renewals.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import type { SnapshotFetch } from "./snapshot-fetch.ts";
import type { SnapshotOffers } from "./snapshot-offers.ts";
import type { StorageLane } from "./storage-lane.ts";
import type { WriteQueue } from "./write-queue.ts";
import type { WriteRouter } from "./write-router.ts";

/** Looked up when a handler runs: the driver, which has the handlers, is made before most of these. */
interface Parts {
  readonly options: ReplicaOptions;
  readonly driver: RaftDriver;
  readonly lane: StorageLane;
  readonly queue: WriteQueue;
  readonly proposals: Proposals;
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
  readonly health: Health;
  appliedAtMs: number;
  /** The state machine stands at this index now. */
  advanceTo(index: Index): void;
  followMembership(membership: Membership, at: EntryId): void;
}

export function raftHandlers(parts: Parts): RaftHandlers {
  const { observer, ports } = parts.options;
  return {
    beforeTurn: () => {
      parts.router.route();
      // After the renewals that waited here: one that is ahead in the log wins.
      parts.expiry.tick();
      parts.reads.askGathered();
    },
    afterTurn: () => sweep(parts),
    apply: (entries) => apply(parts, entries),
    proposalAppended: (ctx, entry) => parts.proposals.appended(ctx, entry),
    proposalRejected: (ctx, reason) => parts.proposals.rejected(ctx, reason),
    readReady: (ctx, index) => parts.reads.ready(ctx, index),
    readFailed: (ctx) => parts.reads.failed(ctx),
    offerSnapshot: (to) => parts.snapshotOffers.offer(to),
    fetchSnapshot: (from, meta) => parts.snapshotFetch.begin(from, meta),
    compactLog: ({ seq, base }) => compactLog(parts, seq, base),
    recovered: ({ seq }) => parts.lane.add({ seq, entries: 0, run: (done) => ports.log.markRecovered(done) }),
    event: (event) => noteEvent(parts, event),
    fatal: (error) => observer.fatal(error),
  };
}

function apply(parts: Parts, entries: readonly Entry[]): void {
  const { applier, driver, options } = parts;
  applier.apply(entries);
  const { index } = applier.base.last;
  parts.appliedAtMs = driver.nowMs;
  // A long replay goes page by page, and lets peers, clients and the image have their turn in between.
  if (driver.core.hasMoreToApply) driver.enqueue({ kind: "applied", index });
  else driver.step({ kind: "applied", index });
  options.observer.applied(index);
  parts.advanceTo(index);
}

function compactLog({ lane, options }: Parts, seq: number, base: LogBase): void {
  lane.add({ seq, entries: 0, run: (done) => options.ports.log.compact(base, done) });
  options.observer.compacted(base.last.index);
}

function noteEvent(parts: Parts, event: RaftEvent): void {
  parts.options.observer.raft(event);
  if (event.kind === "membershipChanged") parts.followMembership(event.membership, event.at);
  if (event.kind === "transferAborted") parts.health.transferAborted(event.to);
  if (event.kind === "leaderChanged" && event.leader !== null) parts.driver.wake();
}

/** Everything that depends on time and not on Raft. */
function sweep(parts: Parts): void {
  const { nowMs, core } = parts.driver;
  parts.queue.expire(nowMs, core.leader !== null);
  parts.router.expire(nowMs);
  parts.renewals.expire(nowMs);
  parts.proposals.expire(nowMs);
  parts.appliedIndex.expire(nowMs);
  parts.revision.expire(nowMs);
  parts.reads.tick(nowMs);
  parts.image.tick(nowMs);
  parts.snapshotOffers.tick(nowMs);
  parts.health.tick(nowMs);
}
