/**
 * How a leader gets its log to the others (paper §5.3): who has what, what to send next, and what a quorum holds.
 */

import { entryBytes } from "./entry.ts";
import { compareIds } from "./membership.ts";
import type { Append, AppendReply, HeartbeatReply } from "./messages.ts";
import type { RaftNode } from "./node.ts";
import { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import type { Entry, Index, NodeId } from "./types.ts";

export class Replication {
  readonly #node: RaftNode;
  /** Every member of the membership in force but this one, sorted by id. */
  #peers = new Map<NodeId, Progress>();

  constructor(node: RaftNode) {
    this.#node = node;
    this.reconcile();
  }

  peers(): Iterable<Progress> {
    return this.#peers.values();
  }

  peer(id: NodeId): Progress | undefined {
    return this.#peers.get(id);
  }

  /** The membership in force changed: newcomers start from nothing, and those who left are forgotten at once. */
  reconcile(): void {
    const { config, id: self, log } = this.#node;
    const ids = log.membership.members.map((member) => member.id).filter((id) => id !== self);
    const fresh = (id: NodeId): Progress => new Progress({ id, nextIndex: log.lastIndex + 1, config });
    this.#peers = new Map(ids.toSorted(compareIds).map((id) => [id, this.#peers.get(id) ?? fresh(id)]));
  }

  /** The highest index that a quorum holds durably. Our own disk is one voter like any other, and counts only what it has written. */
  quorumMatchIndex(): Index {
    return quorumValue(this.#node.log.membership, (id) => this.#heldBy(id));
  }

  /** The highest heartbeat round that a quorum answered; we answer each at once. */
  quorumRound(newestRound: number): number {
    return quorumValue(this.#node.log.membership, (id) =>
      id === this.#node.id ? newestRound : (this.#counting(id)?.ackedRound ?? 0),
    );
  }

  isActive(id: NodeId): boolean {
    return id === this.#node.id || this.#counting(id)?.isRecentlyActive === true;
  }

  #heldBy(id: NodeId): Index {
    return id === this.#node.id ? this.#node.log.durableIndex : (this.#counting(id)?.matchIndex ?? 0);
  }

  /** A member that lost its memory may have promised itself to another leader and forgotten it. Nothing it says counts. */
  #counting(id: NodeId): Progress | undefined {
    const peer = this.#peers.get(id);
    return peer?.isRecovering === true ? undefined : peer;
  }

  /** Sends everyone what it lacks, as far as its window allows. */
  flush(): void {
    for (const peer of this.#peers.values()) this.#sendNews(peer);
  }

  #sendNews(peer: Progress): void {
    const { log } = this.#node;
    if (peer.state === "probe" && !peer.isPaused) this.#sendAppend(peer);
    while (peer.state === "replicate" && peer.nextIndex <= log.lastIndex && !peer.inflight.isFull)
      this.#sendAppend(peer);
    if (peer.state === "replicate" && peer.sentCommit < log.commitIndex) this.#sendAppend(peer);
  }

  /** One Append from nextIndex on. Empty when the window is full: its refusal is how we learn that what was sent got lost. */
  #sendAppend(peer: Progress): void {
    const { log, config } = this.#node;
    const index = peer.nextIndex - 1;
    const term = log.termAt(index);
    if (term === null) return this.#sendSnapshot(peer);
    const entries = peer.inflight.isFull ? [] : log.slice(peer.nextIndex, config.appendBytesMax);
    const message: Append = {
      ...this.#node.to(peer.id),
      type: "append",
      previous: { term, index },
      entries,
      commit: log.commitIndex,
    };
    // We replicate while our own disk still writes (thesis §10.2.1): nothing here is counted before it is durable, neither there nor here.
    this.#node.send(message);
    peer.sentCommit = log.commitIndex;
    this.#noteSent(peer, entries);
  }

  #noteSent(peer: Progress, entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (peer.state === "probe") peer.becomePaused();
    else if (last !== undefined)
      peer.sentUpTo(
        last.index,
        entries.reduce((sum, entry) => sum + entryBytes(entry), 0),
      );
  }

  /** The log no longer reaches back to what the follower needs. A follower that does not answer would not take an image either. */
  #sendSnapshot(peer: Progress): void {
    if (!peer.isRecentlyActive) return peer.becomePaused();
    peer.becomeSnapshot();
    this.#offerSnapshot(peer);
  }

  /** An offer of an image may have been lost. Whoever fetches one already is not disturbed by hearing of it again. */
  repeatOffers(): void {
    for (const peer of this.#peers.values()) {
      if (peer.state === "snapshot" && peer.isRecentlyActive) this.#offerSnapshot(peer);
    }
  }

  #offerSnapshot(peer: Progress): void {
    this.#node.outbox.push({ kind: "sendSnapshot", to: peer.id, term: this.#node.term });
  }

  onAppendReply(peer: Progress, reply: AppendReply): void {
    const { log } = this.#node;
    if (reply.accepted && reply.index > log.lastIndex)
      return this.#node.ignore(reply, "accepted what we do not have");
    if (!reply.accepted && reply.index > reply.previousIndex)
      return this.#node.ignore(reply, "hints above the refused index");
    if (reply.accepted) this.#onAccepted(peer, reply);
    else this.#onRefused(peer, reply);
  }

  /** Its log equals ours up to there. Any image will do that lets the log go on, also one that another leader sent. */
  #onAccepted(peer: Progress, reply: AppendReply): void {
    peer.matched(reply.index);
    const canGoOn = peer.matchIndex + 1 >= this.#node.log.firstIndex;
    if (peer.state === "probe" || (peer.state === "snapshot" && canGoOn)) peer.becomeReplicate();
  }

  /** The follower's hint skips a term of its log; the same rule on our side skips a term of ours. */
  #onRefused(peer: Progress, reply: AppendReply): void {
    peer.refused(reply.previousIndex, this.#node.log.findByTerm(reply.index, reply.hintTerm));
  }

  /** A heartbeat went out: whatever its answer shows to be missing is sent again, once. */
  allowRetries(): void {
    for (const peer of this.#peers.values()) peer.isRetryDue = true;
  }

  /**
   * The follower is there. If it lacks something, that may be because it was lost on the way. And if it does not get on with what is committed,
   * it may not know that it may: one that restarts has yet to compare its log with ours, and nothing else may tell us that it did.
   */
  onHeartbeatReply(peer: Progress, reply: HeartbeatReply): void {
    const { lastIndex, commitIndex } = this.#node.log;
    const doesNotGetOn = reply.appliedIndex < commitIndex && reply.appliedIndex <= peer.appliedIndex;
    peer.ackedRound = Math.max(peer.ackedRound, reply.round);
    peer.appliedIndex = reply.appliedIndex;
    if (!peer.isRetryDue) return;
    peer.isRetryDue = false;
    peer.resume();
    const mayLack = peer.matchIndex < lastIndex || peer.isRecovering || doesNotGetOn;
    if (peer.state === "replicate" && mayLack) this.#sendAppend(peer);
  }

  /** Messages to the follower may be lost: find out where it is before sending ahead again. */
  onUnreachable(id: NodeId): void {
    const peer = this.#peers.get(id);
    if (peer?.state === "replicate") peer.becomeProbe(peer.matchIndex + 1);
  }

  /** The transfer of an image ended, well or not. Either way the next heartbeat's answer lets us look where the follower stands. */
  onSnapshotSent(id: NodeId, ok: boolean): void {
    const peer = this.#peers.get(id);
    if (peer?.state !== "snapshot") return;
    peer.becomeProbe(ok ? this.#node.log.firstIndex : peer.matchIndex + 1);
    peer.becomePaused();
  }

  /** How far the log must reach back so that no active follower needs an image; null when there is none. */
  slowestActiveMatchIndex(): Index | null {
    const matches = [...this.#peers.values()]
      .filter((peer) => peer.isRecentlyActive)
      .map((peer) => peer.matchIndex);
    return matches.length === 0 ? null : Math.min(...matches);
  }
}
