/**
 * A leader appends, replicates, commits, and proves again and again that it still leads (paper §5.3, thesis §6.4).
 */

import { ClusterClock, electionGraceMs, isClockEntryDue } from "./cluster-clock.ts";
import { entryBytes, type EntryContent, entryOf } from "./entry.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { Input, MembershipChange, PeerStatus, RejectReason } from "./io.ts";
import { isJoint, leftJoint, memberOf } from "./membership.ts";
import { planChange } from "./membership-change.ts";
import type { AppendReply, HeartbeatReply, Message } from "./messages.ts";
import type { RaftNode } from "./node.ts";
import type { Progress } from "./progress.ts";
import { hasQuorum } from "./quorum.ts";
import { Replication } from "./replication.ts";
import type { Transitions } from "./role.ts";
import { bestSuccessor, mayTakeOver, Transfer } from "./transfer.ts";
import type { EntryId, Index, NodeId, SnapshotMeta } from "./types.ts";

type Proposal = Pick<Extract<Input, { kind: "propose" }>, "payload" | "ifTerm" | "priority">;

/** Of the room for what is uncommitted. The rest is for what is urgent: it has to go on while the cluster is overloaded. */
const ordinaryShare = 0.9;

export class Leader {
  readonly role = "leader";
  readonly replication: Replication;
  readonly heartbeats: Heartbeats;
  readonly #node: RaftNode;
  readonly #transitions: Transitions;
  readonly #clock: ClusterClock;
  readonly #graceMs: number;
  #transfer: Transfer | null = null;
  /** The index of the no-op that began this leadership. */
  #electionIndex: Index = 0;
  #ticksSinceHeartbeat = 0;
  #ticksSinceQuorumCheck = 0;
  /** Bytes of entries that were appended and not yet committed. */
  #uncommittedBytes = 0;

  constructor(node: RaftNode, transitions: Transitions) {
    this.#node = node;
    this.#transitions = transitions;
    this.replication = new Replication(node);
    this.heartbeats = new Heartbeats(node, this.replication);
    const { lastClusterTime, lastGraceAt, commitIndex, lastIndex } = node.log;
    this.#graceMs = electionGraceMs(node.config, {
      leasesExist: node.leasesExist,
      lastStampMs: lastClusterTime,
      lastGraceAt,
    });
    this.#clock = new ClusterClock({
      stampMs: lastClusterTime,
      nowMs: node.nowMs,
      graceMs: this.#graceMs,
      stepMaxMs: node.config.clockStepMaxMs,
    });
    for (const entry of node.log.between(commitIndex, lastIndex)) this.#uncommittedBytes += entryBytes(entry);
  }

  get transferringTo(): NodeId | null {
    return this.#transfer?.to ?? null;
  }

  get electionIndex(): Index {
    return this.#electionIndex;
  }

  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  /** The no-op is what makes earlier leaders' entries commit, and lets reads know what is committed (paper §5.4.2, §8). */
  start(): void {
    this.#electionIndex = this.#append({ kind: "election", graceMs: this.#graceMs }).index;
    this.heartbeats.startRound();
  }

  /** Sends what the steps of this turn appended, in as few messages as possible. */
  flush(): void {
    this.replication.flush();
  }

  leave(reason: RejectReason): void {
    this.heartbeats.failReads(reason);
    // A new term is what a transfer is meant to bring; anything else ends it without success.
    if (reason !== "termChanged") this.#abortTransfer("no longer the leader");
  }

  clusterTime(nowMs: number): number {
    return this.#clock.read(nowMs);
  }

  // ------------------------------------------------------------------ time

  tick(): void {
    this.heartbeats.tick();
    if (this.#transfer?.tick() === true) this.#abortTransfer("timed out");
    if (this.#isClockEntryDue) this.#append({ kind: "clock" });
    this.#maybeLeaveJoint();
    this.#ticksSinceHeartbeat += 1;
    if (this.#ticksSinceHeartbeat >= this.#node.config.heartbeatTicks) this.#heartbeat();
    this.#ticksSinceQuorumCheck += 1;
    if (this.#ticksSinceQuorumCheck >= this.#node.config.electionTicks) this.#checkQuorum();
  }

  /** Not during a hand-over: its target needs the whole log, and what time made due could not be proposed (thesis §3.10). */
  get #isClockEntryDue(): boolean {
    if (this.#transfer !== null) return false;
    return this.#node.leasesExist && isClockEntryDue(this.#node.config, this.#clock.ageMs(this.#node.nowMs));
  }

  #heartbeat(): void {
    this.#ticksSinceHeartbeat = 0;
    this.replication.allowRetries();
    this.heartbeats.startRound();
    this.#maybeSendTimeoutNow();
  }

  /** A leader that hears nothing from a quorum may have been replaced, and must not keep clients waiting (thesis §6.2). */
  #checkQuorum(): void {
    this.#ticksSinceQuorumCheck = 0;
    if (!hasQuorum(this.#node.log.membership, (id) => this.replication.isActive(id)))
      return this.#stepDown("lost the quorum");
    this.replication.repeatOffers();
    for (const peer of this.replication.peers()) peer.isRecentlyActive = false;
  }

  #stepDown(reason: string): void {
    this.#node.event({ kind: "steppedDown", term: this.#node.term, reason });
    this.#transitions.becomeFollower({ term: this.#node.term, leader: null, reason });
  }

  // ------------------------------------------------------------------ messages of the current term

  receive(message: Message): void {
    switch (message.type) {
      case "appendReply":
        return this.#fromPeer(message, (peer) => this.#appendReply(peer, message));
      case "heartbeatReply":
        return this.#fromPeer(message, (peer) => this.heartbeats.onReply(peer, message));
      // A follower wants to serve a linearizable read.
      case "readIndex":
        return this.heartbeats.addRead({ kind: "follower", from: message.from, id: message.id });
      // Two leaders in one term cannot be. Whatever this is, it is not ours to follow.
      case "append":
      case "heartbeat":
      case "snapshotOffer":
      case "timeoutNow":
        return this.#node.ignore(message, "we lead this term");
      // Answers to questions that the election settled; and votes, which were answered before.
      case "preVote":
      case "preVoteReply":
      case "vote":
      case "voteReply":
      case "readIndexReply":
      case "removed":
        return;
    }
  }

  /** Replies count only from members. */
  #fromPeer(reply: AppendReply | HeartbeatReply, take: (peer: Progress) => void): void {
    const peer = this.replication.peer(reply.from);
    if (peer === undefined) return this.#node.ignore(reply, "not a member");
    peer.isRecentlyActive = true;
    peer.lastContactMs = this.#node.nowMs;
    if (reply.recovering && !peer.isRecovering) this.#onMemoryLost(peer);
    else take(peer);
  }

  #appendReply(peer: Progress, reply: AppendReply): void {
    this.replication.onAppendReply(peer, reply);
    if (!reply.accepted) return;
    this.#maybeCountAgain(peer, reply);
    this.#maybeSendTimeoutNow();
    this.#maybeCommit();
  }

  /**
   * A member tells that it lost its memory: nothing that we knew of it holds, and nothing it says counts from now on. The barrier is the
   * end of our log at this moment, so that an entry after it is certain to have been proposed after the member's return.
   */
  #onMemoryLost(peer: Progress): void {
    peer.forget(this.#node.log.lastIndex);
    this.#append({ kind: "clock" });
  }

  /** An entry beyond the barrier was acknowledged after the return, so this is no late message from before the loss: it counts again. */
  #maybeCountAgain(peer: Progress, reply: AppendReply): void {
    if (peer.recoveryBarrier === null || reply.recovering) return;
    if (reply.index > peer.recoveryBarrier && reply.index <= peer.matchIndex) peer.recoveryBarrier = null;
  }

  read(ctx: number): void {
    this.heartbeats.addRead({ kind: "local", ctx });
  }

  // ------------------------------------------------------------------ appending and committing

  /** Returns the new entry's id, or why there is none. */
  propose({ payload, ifTerm, priority }: Proposal): EntryId | RejectReason {
    if (ifTerm !== null && ifTerm !== this.#node.term) return "termChanged";
    if (this.#isOnItsWayOut) return "transferring";
    if (priority !== "own" && !this.#hasRoomFor(payload, priority === "urgent" ? 1 : ordinaryShare))
      return "overloaded";
    return this.#append({ kind: "command", payload });
  }

  /** A single proposal passes whatever its size, or it could never be made. */
  #hasRoomFor(payload: Uint8Array, share: number): boolean {
    const bytes = this.#uncommittedBytes + payload.length;
    return this.#uncommittedBytes === 0 || bytes <= share * this.#node.config.uncommittedBytesMax;
  }

  changeMembership(change: MembershipChange): EntryId | RejectReason {
    if (this.#isOnItsWayOut) return "transferring";
    const plan = planChange(this.#node, this.replication, change);
    return "refused" in plan
      ? plan.refused
      : this.#append({ kind: "membership", membership: plan.membership });
  }

  /** What is proposed now might be cut off by the next leader, so it is refused instead. */
  get #isOnItsWayOut(): boolean {
    return this.#transfer !== null || memberOf(this.#node.log.membership, this.#node.id) === undefined;
  }

  #append(content: EntryContent): EntryId {
    const { log, term, nowMs } = this.#node;
    const id = { term, index: log.lastIndex + 1 };
    const entry = entryOf(content, id, this.#clock.advance(nowMs));
    this.#node.append([entry]);
    this.#uncommittedBytes += entryBytes(entry);
    if (entry.kind === "membership") this.#onMembership();
    return id;
  }

  /** In force from now on (thesis §4.1): replicate to those who came, and forget those who went. */
  #onMembership(): void {
    this.replication.reconcile();
    const target = this.#transfer;
    if (target !== null && !this.#node.log.membership.voters.includes(target.to))
      this.#abortTransfer("no longer a voter");
  }

  stored(): void {
    this.#maybeCommit();
  }

  /**
   * Commits what a quorum holds, but only up to an entry of our own term; earlier ones are committed with it. An entry of an earlier
   * term can be on a quorum and still be cut off by a later leader (paper §5.4.2, Figure 8).
   */
  #maybeCommit(): void {
    const { log, term } = this.#node;
    const index = this.replication.quorumMatchIndex();
    if (index <= log.commitIndex || log.termAt(index) !== term) return;
    this.#countAsCommitted(index);
    this.#node.commitTo(index);
    this.heartbeats.maybeStartReadRound();
    this.#maybeLeaveJoint();
    if (this.#isRemovalCommitted) this.#leaveCluster();
  }

  /** Before the commit index moves to `index`. */
  #countAsCommitted(index: Index): void {
    const { log } = this.#node;
    for (const entry of log.between(log.commitIndex, index)) this.#uncommittedBytes -= entryBytes(entry);
  }

  /** It was asked for before the election, and the entries have come since, as they have to whoever is elected: the image is committed. */
  snapshotInstalled(meta: SnapshotMeta): void {
    this.#countAsCommitted(meta.last.index);
    this.#node.installSnapshot(meta);
  }

  /** A joint membership is only a passage: once it is committed, the leader goes on to the plain one by itself (thesis §4.3). */
  #maybeLeaveJoint(): void {
    const { membership, membershipIndex, commitIndex } = this.#node.log;
    if (
      !isJoint(membership) ||
      membershipIndex > commitIndex ||
      !this.#node.knowsCommits ||
      this.#transfer !== null
    )
      return;
    this.#append({ kind: "membership", membership: leftJoint(membership) });
  }

  /** A leader may manage a cluster that it is no longer part of, but only until that is settled (paper §6; thesis §4.2.2). */
  get #isRemovalCommitted(): boolean {
    const { membership, membershipIndex, commitIndex } = this.#node.log;
    return membershipIndex <= commitIndex && memberOf(membership, this.#node.id) === undefined;
  }

  #leaveCluster(): void {
    // The others learn of the commitment first, or they would wait for a leader in order to do so.
    this.flush();
    this.handOver();
    this.#stepDown("removed from the cluster");
  }

  // ------------------------------------------------------------------ leadership transfer

  transfer(to: NodeId | null): void {
    const { membership } = this.#node.log;
    const target = to ?? bestSuccessor(membership, this.replication.peers());
    const peer = target === null ? undefined : this.replication.peer(target);
    if (peer === undefined || !mayTakeOver(membership, peer)) {
      return this.#node.event({
        kind: "transferAborted",
        to: target ?? "",
        reason: "no voter to hand over to",
      });
    }
    if (peer.id !== this.#transfer?.to) this.#startTransfer(peer.id);
  }

  #startTransfer(to: NodeId): void {
    this.#abortTransfer("another transfer was asked for");
    this.#transfer = new Transfer({ to, ticks: this.#node.config.electionTicks });
    this.#node.event({ kind: "transferStarted", to });
    this.#maybeSendTimeoutNow();
  }

  /** The target can win only with our whole log. Repeated at heartbeats, since the message may be lost. */
  #maybeSendTimeoutNow(): void {
    const { log } = this.#node;
    if (this.#transfer === null || this.replication.peer(this.#transfer.to)?.matchIndex !== log.lastIndex)
      return;
    this.#sendTimeoutNow(this.#transfer.to);
  }

  #sendTimeoutNow(to: NodeId): void {
    this.#node.send({ ...this.#node.to(to), type: "timeoutNow", last: this.#node.log.last });
  }

  #abortTransfer(reason: string): void {
    if (this.#transfer === null) return;
    this.#node.event({ kind: "transferAborted", to: this.#transfer.to, reason });
    this.#transfer = null;
  }

  /** Going in any case: spares the others an election timeout if one of them has our whole log. Needs no disk. */
  handOver(): void {
    const { log } = this.#node;
    const to = bestSuccessor(log.membership, this.replication.peers());
    if (to !== null && this.replication.peer(to)?.matchIndex === log.lastIndex) this.#sendTimeoutNow(to);
  }

  // ------------------------------------------------------------------ the driver's reports

  unreachable(id: NodeId): void {
    this.replication.onUnreachable(id);
  }

  snapshotSent(id: NodeId, ok: boolean): void {
    this.replication.onSnapshotSent(id, ok);
  }

  peerStatus(): PeerStatus[] {
    return [...this.replication.peers()].map((peer) => this.#statusOf(peer));
  }

  #statusOf(peer: Progress): PeerStatus {
    const { id, state, matchIndex, nextIndex, appliedIndex, isRecentlyActive, isRecovering, lastContactMs } =
      peer;
    const sinceContactMs = lastContactMs === null ? null : this.#node.nowMs - lastContactMs;
    return {
      id,
      state,
      matchIndex,
      nextIndex,
      appliedIndex,
      recentlyActive: isRecentlyActive,
      recovering: isRecovering,
      lastContactMs: sinceContactMs,
    };
  }
}
