/**
 * Raft as a synchronous state machine: `step` takes one input, `takeEffects` hands over what is to be done about all of them since.
 *
 * What holds in every role stands here: which messages are heard at all, what a higher or lower term means (paper §5.1), and how one
 * role becomes another. What a role does is in follower.ts, candidate.ts and leader.ts.
 */

import { assert } from "./assert.ts";
import { Candidate, PreCandidate } from "./candidate.ts";
import { validateRaftConfig } from "./config.ts";
import { Follower } from "./follower.ts";
import { checkMarks } from "./invariants.ts";
import type { CoreView } from "./invariants.ts";
import type { Effect, Input, RaftStatus, RejectReason } from "./io.ts";
import { Leader } from "./leader.ts";
import type { Message, Vote } from "./messages.ts";
import { RaftNode } from "./node.ts";
import type { RaftNodeOptions } from "./node.ts";
import type { Transitions } from "./role.ts";
import type { Entry, EntryId, Index, Membership, NodeId, SnapshotMeta, Term } from "./types.ts";
import { answerPreVote, answerVote, isDisturbance, tellIfRemoved } from "./voting.ts";

type AnyRole = Follower | PreCandidate | Candidate | Leader;
type InputOf<K extends Input["kind"]> = Extract<Input, { kind: K }>;

export class RaftCore implements Transitions {
  readonly #node: RaftNode;
  #role: AnyRole;

  constructor(options: RaftNodeOptions) {
    const faults = validateRaftConfig(options.config);
    assert(faults.length === 0, faults.join("; "));
    this.#node = new RaftNode(options);
    this.#role = new Follower(this.#node, this);
    checkMarks(this.view);
  }

  /** Takes one input. Never throws over what the network brought; throws `InvariantViolation` when this member cannot go on. */
  step(input: Input): void {
    if ("nowMs" in input) this.#node.passTimeTo(input.nowMs);
    if (this.#node.isStorageFailed) this.#refuse(input, "stopped");
    else this.#take(input);
    checkMarks(this.view);
  }

  /** Everything to be done since the last call, in order. */
  takeEffects(): Effect[] {
    if (this.#role.role === "leader") this.#role.flush();
    const { applyEntriesMax, applyBytesMax } = this.#node.config;
    const page = this.#node.log.nextPage(applyEntriesMax, applyBytesMax);
    if (page.length > 0) this.#node.outbox.push({ kind: "apply", entries: page });
    return this.#node.outbox.take();
  }

  // ------------------------------------------------------------------ inputs

  #take(input: Input): void {
    switch (input.kind) {
      case "tick":
        this.#node.leasesExist = input.leasesExist;
        return this.#role.tick();
      case "message":
        this.#node.unreadSinceMs = input.unreadSinceMs ?? input.nowMs;
        return this.#receive(input.message);
      case "propose":
        return this.#propose(input);
      case "changeMembership":
        return this.#changeMembership(input);
      case "read":
        return this.#read(input);
      case "transfer":
        return this.#transfer(input);
      case "stored":
        return this.#stored(input.seq);
      case "applied":
        return this.#applied(input.index);
      case "compact":
        return this.#compact(input);
      case "snapshotInstalled":
        return this.#snapshotInstalled(input.meta);
      case "snapshotFailed":
        if (this.#role.role === "follower") this.#role.snapshotFailed(input.id);
        return;
      case "snapshotSent":
        if (this.#role.role === "leader") this.#role.snapshotSent(input.to, input.ok);
        return;
      case "unreachable":
        if (this.#role.role === "leader") this.#role.unreachable(input.id);
        return;
      case "streamLost":
        return this.#streamLost(input.id);
      case "storageFailed":
        return this.#storageFailed();
    }
  }

  /** Whoever asks gets an answer, also when the answer can only be no. */
  #refuse(input: Input, reason: RejectReason): void {
    const { outbox } = this.#node;
    if (input.kind === "propose" || input.kind === "changeMembership")
      outbox.push({ kind: "proposalRejected", ctx: input.ctx, reason });
    if (input.kind === "read") outbox.push({ kind: "readFailed", ctx: input.ctx, reason });
  }

  #propose(input: InputOf<"propose">): void {
    if (this.#role.role !== "leader") return this.#refuse(input, "notLeader");
    this.#answerProposal(input, this.#role.propose(input));
  }

  #changeMembership(input: InputOf<"changeMembership">): void {
    if (this.#role.role !== "leader") return this.#refuse(input, "notLeader");
    this.#answerProposal(input, this.#role.changeMembership(input.change));
  }

  #answerProposal(input: InputOf<"propose" | "changeMembership">, outcome: EntryId | RejectReason): void {
    if (typeof outcome === "string") return this.#refuse(input, outcome);
    this.#node.outbox.push({ kind: "proposalAppended", ctx: input.ctx, entry: outcome });
  }

  #read(input: InputOf<"read">): void {
    if (this.#role.role === "leader") return this.#role.read(input.ctx);
    if (this.#role.role === "follower") return this.#role.read(input.ctx, input.id);
    this.#refuse(input, "notLeader");
  }

  #transfer(input: InputOf<"transfer">): void {
    if (this.#role.role === "leader") return this.#role.transfer(input.to);
    this.#node.event({ kind: "transferAborted", to: input.to ?? "", reason: "not the leader" });
  }

  #stored(seq: number): void {
    const { outbox, log, recovery } = this.#node;
    outbox.stored(seq);
    log.stored(seq);
    if (recovery.stored(seq)) this.#node.event({ kind: "recovered", index: log.commitIndex });
    this.#node.maybeEndRecovery();
    this.#role.stored();
  }

  #applied(index: Index): void {
    this.#node.log.applied(index);
    this.#node.staleness.applied(this.#node.log.appliedIndex);
  }

  /**
   * Keeps `retainEntries` before the image for followers that lag a little; and for an active follower that lags more, up to four times
   * as many, since an image would cost it and us much more. All of it only as far as it fits into `retainBytes`, because it is kept in memory.
   */
  #compact({ index, retainEntries, retainBytes }: InputOf<"compact">): void {
    const { log, outbox } = this.#node;
    const covered = Math.min(index, log.appliedIndex, log.durableIndex);
    const slowest = this.#role.role === "leader" ? this.#role.replication.slowestActiveMatchIndex() : null;
    const wanted = Math.min(covered - retainEntries, slowest ?? covered);
    const target = log.indexBefore(covered, retainBytes, Math.max(wanted, covered - 4 * retainEntries));
    if (target < log.firstIndex) return;
    outbox.push({ kind: "compactLog", seq: outbox.lastSeq, base: log.compactTo(target) });
  }

  /** An image that the state machine has already passed changes nothing. */
  #snapshotInstalled(meta: SnapshotMeta): void {
    if (meta.last.index <= this.#node.log.appliedIndex) return;
    if (this.#role.role === "follower" || this.#role.role === "leader") this.#role.snapshotInstalled(meta);
    else this.#node.installSnapshot(meta);
  }

  #streamLost(id: NodeId): void {
    if (this.#role.role === "leader") this.#role.unreachable(id);
    if (this.#role.role === "follower") this.#role.streamLost(id);
  }

  /** From here on this member makes no promise and takes back none: no vote, no acknowledgement, no leadership. */
  #storageFailed(): void {
    const reason = "the disk failed";
    if (this.#role.role === "leader") {
      this.#role.handOver();
      this.#node.event({ kind: "steppedDown", term: this.#node.term, reason });
    }
    this.#node.isStorageFailed = true;
    this.#leaveRole("stopped");
    this.#becomeFollower(null, reason);
  }

  // ------------------------------------------------------------------ messages

  #receive(message: Message): void {
    const node = this.#node;
    if (message.to !== node.id || message.from === node.id) return node.ignore(message, "not for us");
    // Asking about an election changes nothing, whatever the term.
    if (message.type === "preVote") return answerPreVote(node, message);
    if (message.type === "preVoteReply" && message.granted) return this.#role.receive(message);
    if (message.term > node.term && !this.#adoptTerm(message)) return;
    if (message.term < node.term) return this.#answerStale(message);
    if (message.type === "vote") return this.#vote(message);
    this.#makeWayForLeader(message);
    this.#role.receive(message);
  }

  /** A higher term: whatever we were, we are followers in it (paper §5.1). Unless somebody only wants to disturb a living leader. */
  #adoptTerm(message: Message): boolean {
    if (message.type === "vote" && isDisturbance(this.#node, message)) {
      tellIfRemoved(this.#node, message);
      return false;
    }
    this.becomeFollower({ term: message.term, leader: null, reason: `${message.from} is in a later term` });
    return true;
  }

  /**
   * A sender that is behind learns our term from any answer of ours. A deposed leader must, or it would never step down; and so must a
   * candidate, or it would never catch up. Stale replies need no answer.
   */
  #answerStale(message: Message): void {
    const node = this.#node;
    const head = node.to(message.from);
    switch (message.type) {
      case "vote":
        node.send({ ...head, type: "voteReply", granted: false });
        return tellIfRemoved(node, message);
      case "append":
      case "heartbeat":
      case "snapshotOffer": {
        const { appliedIndex } = node.log;
        return node.send({
          ...head,
          type: "heartbeatReply",
          round: 0,
          appliedIndex,
          recovering: node.recovery.isRecovering,
        });
      }
      case "readIndex":
        return node.send({ ...head, type: "readIndexReply", id: message.id, index: null });
      // A refusal from a member that is behind us is still an answer to our question.
      case "preVoteReply":
        return this.#role.receive(message);
      case "preVote":
      case "voteReply":
      case "appendReply":
      case "heartbeatReply":
      case "timeoutNow":
      case "readIndexReply":
      case "removed":
        return;
    }
  }

  /** A pre-candidate that has given its vote away has nothing to ask for in the meantime. */
  #vote(message: Vote): void {
    const granted = answerVote(this.#node, message);
    if (granted && this.#role.role === "preCandidate") {
      this.becomeFollower({ term: message.term, leader: null, reason: `voted for ${message.from}` });
    }
  }

  /** Somebody leads the current term, so whoever was asking for votes in it has lost (paper §5.2). */
  #makeWayForLeader(message: Message): void {
    const isFromLeader =
      message.type === "append" || message.type === "heartbeat" || message.type === "snapshotOffer";
    if (!isFromLeader || this.#role.role === "follower" || this.#role.role === "leader") return;
    this.becomeFollower({ term: message.term, leader: message.from, reason: `${message.from} leads` });
  }

  // ------------------------------------------------------------------ transitions

  becomeFollower(options: {
    readonly term: Term;
    readonly leader: NodeId | null;
    readonly reason: string;
  }): void {
    const { term, leader, reason } = options;
    const isLaterTerm = term > this.#node.term;
    this.#leaveRole(isLaterTerm ? "termChanged" : "notLeader");
    if (isLaterTerm) this.#node.setHardState({ term, vote: null });
    this.#becomeFollower(leader, reason);
  }

  #becomeFollower(leader: NodeId | null, reason: string): void {
    // The timer of others runs on: only a leader or a granted vote may put off an election, not a term that somebody made up (paper §5.2).
    if (this.#role.role === "leader") this.#node.restartTimer();
    const isNews = this.#role.role !== "follower";
    this.#role = new Follower(this.#node, this);
    this.#node.setLeader(leader);
    if (leader === null) this.#node.timer.forgetLeader();
    if (isNews) this.#roleChanged(reason);
  }

  becomePreCandidate(): void {
    const reason = this.#role.role === "follower" ? "heard no leader" : "the election was not decided";
    this.#leaveRole("notLeader");
    this.#node.setLeader(null);
    const preCandidate = new PreCandidate(this.#node, this);
    this.#role = preCandidate;
    this.#roleChanged(reason);
    preCandidate.start();
  }

  becomeCandidate({ transfer }: { readonly transfer: boolean }): void {
    this.#leaveRole("termChanged");
    this.#node.setLeader(null);
    const candidate = new Candidate(this.#node, this, { transfer });
    this.#role = candidate;
    candidate.start();
    this.#roleChanged(transfer ? "the leader handed over" : "an election can be won");
  }

  becomeLeader(): void {
    const leader = new Leader(this.#node, this);
    this.#role = leader;
    this.#node.setLeader(this.#node.id);
    this.#roleChanged("won the election");
    leader.start();
  }

  /** Reads that wait for this role cannot be answered by the next one. */
  #leaveRole(reason: RejectReason): void {
    if (this.#role.role === "leader" || this.#role.role === "follower") this.#role.leave(reason);
  }

  #roleChanged(reason: string): void {
    this.#node.event({ kind: "roleChanged", role: this.#role.role, term: this.#node.term, reason });
  }

  // ------------------------------------------------------------------ what can be seen from outside

  /** Milliseconds by which this member's applied state may be out of date; 2147483647 when that is unknown. */
  staleness(nowMs: number): number {
    return this.#node.staleness.at(nowMs);
  }

  /** Cluster time: on the leader what a stamp would be now, elsewhere the newest stamp known. */
  clusterTime(nowMs: number): number {
    return this.#role.role === "leader" ? this.#role.clusterTime(nowMs) : this.#node.log.lastClusterTime;
  }

  /** The term at `index`, or null if that entry is compacted or not there. */
  termAt(index: Index): Term | null {
    return this.#node.log.termAt(index);
  }

  get membership(): Membership {
    return this.#node.log.membership;
  }

  /** Where the membership in force stands in the log. */
  get membershipId(): EntryId {
    return this.#node.log.membershipId;
  }

  entryAt(index: Index): Entry | undefined {
    return this.#node.log.entryAt(index);
  }

  /** Whom this member believes to lead the current term. Cheap, unlike `status`; so is `term`. */
  get leader(): NodeId | null {
    return this.#node.leader;
  }

  /** Whether more can be applied than has been handed over: the driver may let others have a turn in between. */
  get hasMoreToApply(): boolean {
    return this.#node.log.hasMoreToApply;
  }

  get term(): Term {
    return this.#node.term;
  }

  get status(): RaftStatus {
    const { log, recovery } = this.#node;
    return {
      id: this.#node.id,
      role: this.#role.role,
      term: this.#node.term,
      vote: this.#node.vote,
      leader: this.#node.leader,
      commitIndex: log.commitIndex,
      appliedIndex: log.appliedIndex,
      firstIndex: log.firstIndex,
      lastIndex: log.lastIndex,
      durableIndex: log.durableIndex,
      membership: log.membership,
      membershipIndex: log.membershipIndex,
      recovering: recovery.isRecovering,
      removed: this.#node.isRemoved,
      storageFailed: this.#node.isStorageFailed,
      transferringTo: this.#role.role === "leader" ? this.#role.transferringTo : null,
      peers: this.#role.role === "leader" ? this.#role.peerStatus() : [],
    };
  }

  /** The inside, for invariants and tests only. */
  get view(): CoreView {
    return { node: this.#node, role: this.#role };
  }
}
