/**
 * What a leader says with its heartbeats, and what the answers prove: that it still leads, so that reads may be served, and how fresh
 * everybody's state is (thesis §6.4).
 */

import { HeartbeatRounds } from "./heartbeat-rounds.ts";
import type { RejectReason } from "./io.ts";
import type { HeartbeatReply } from "./messages.ts";
import type { RaftNode } from "./node.ts";
import type { Progress } from "./progress.ts";
import { PendingReads } from "./read-index.ts";
import type { ReadOrigin } from "./read-index.ts";
import type { Replication } from "./replication.ts";
import { stalenessUnknownMs } from "./staleness.ts";

export class Heartbeats {
  readonly rounds = new HeartbeatRounds();
  readonly reads: PendingReads;
  readonly #node: RaftNode;
  readonly #replication: Replication;

  constructor(node: RaftNode, replication: Replication) {
    this.#node = node;
    this.#replication = replication;
    this.reads = new PendingReads(node);
  }

  tick(): void {
    this.reads.tick();
  }

  failReads(reason: RejectReason): void {
    this.reads.failAll(reason);
  }

  addRead(origin: ReadOrigin): void {
    this.reads.add(origin);
    this.maybeStartReadRound();
  }

  /** One round at a time for reads; those that arrive meanwhile share the next. They wait until we know what is committed. */
  maybeStartReadRound(): void {
    if (this.#node.knowsCommits && this.reads.areWaitingForRound && !this.reads.areInFlight)
      this.startRound();
  }

  startRound(): void {
    const { log, nowMs, knowsCommits } = this.#node;
    const round = this.rounds.start({ sentAtMs: nowMs, commitIndex: log.commitIndex, isProof: knowsCommits });
    if (knowsCommits) this.reads.sendWith(round);
    // A sole voter needs nobody's answer, and what it then tells its learners is fresh.
    this.#maybeConfirm();
    for (const peer of this.#replication.peers()) this.#send(peer, round);
  }

  #send(peer: Progress, round: number): void {
    const { commitIndex } = this.#node.log;
    this.#node.send({
      ...this.#node.to(peer.id),
      type: "heartbeat",
      commit: Math.min(peer.matchIndex, commitIndex),
      leaderCommit: commitIndex,
      leaderAgeMs: this.#ageMs,
      round,
      recoveryIndex: peer.recoveryIndex(commitIndex),
    });
  }

  /** How long ago the round was sent that last proved something. */
  get #ageMs(): number {
    const { provenAtMs } = this.rounds;
    if (provenAtMs === null) return stalenessUnknownMs;
    return Math.min(Math.ceil(this.#node.nowMs - provenAtMs), stalenessUnknownMs);
  }

  onReply(peer: Progress, reply: HeartbeatReply): void {
    if (reply.round > this.rounds.newest)
      return this.#node.ignore(reply, "answers a round that was never sent");
    this.#replication.onHeartbeatReply(peer, reply);
    this.#maybeConfirm();
  }

  #maybeConfirm(): void {
    const { log, staleness } = this.#node;
    const proof = this.rounds.confirm(this.#replication.quorumRound(this.rounds.newest));
    if (proof !== null)
      staleness.learn({ index: proof.commitIndex, asOfMs: proof.sentAtMs }, log.appliedIndex);
    this.reads.confirm(this.rounds.confirmed);
    this.maybeStartReadRound();
  }
}
