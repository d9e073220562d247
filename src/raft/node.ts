/**
 * What this member is in every role: its identity, its hard state, its log, its patience, and what it has to say.
 *
 * Roles act through this object, so the rules that hold in all of them stand here once: no message leaves before the term it carries is
 * durable, terms only grow, a vote is given once per term.
 */

import { assert } from "./assert.ts";
import type { RaftConfig } from "./config.ts";
import { ElectionTimer } from "./election-timer.ts";
import type { RaftEvent } from "./io.ts";
import { RaftLog } from "./log.ts";
import type { LogBase } from "./log.ts";
import { isSoleVoter, isVoter, memberOf } from "./membership.ts";
import type { Message } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { OwnRecovery } from "./own-recovery.ts";
import { Staleness } from "./staleness.ts";
import type { BootState, Entry, HardState, Index, NodeId, Term } from "./types.ts";

export interface RaftNodeOptions {
  readonly id: NodeId;
  readonly incarnation: string;
  readonly config: RaftConfig;
  readonly boot: BootState;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class RaftNode {
  readonly id: NodeId;
  readonly incarnation: string;
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly outbox = new Outbox();
  readonly timer: ElectionTimer;
  readonly staleness = new Staleness();
  readonly recovery: OwnRecovery;
  #hardState: HardState;
  /** The write of the newest hard state: what every message waits for, since every message carries the term. */
  #hardStateSeq = 0;
  #verifiedIndex: Index = 0;
  #leader: NodeId | null = null;
  /** The driver's time at the newest input. */
  #nowMs = 0;
  /** When the message in hand can have arrived at the earliest. */
  unreadSinceMs = 0;
  /** As of the last tick. */
  leasesExist = false;
  /** The disk failed: this member makes no promise any more. */
  isStorageFailed = false;
  /** Whether any membership that this member has seen in force included it: only then can a later one have removed it. */
  #wasMember = false;
  /** The newest membership that is known to have removed this member; 0 for none. */
  #removedAt: Index = 0;

  constructor(options: RaftNodeOptions) {
    const { boot } = options;
    this.id = options.id;
    this.incarnation = options.incarnation;
    this.config = options.config;
    this.log = new RaftLog(boot);
    this.timer = new ElectionTimer(options.config, options.random);
    this.recovery = new OwnRecovery(boot.recovering);
    this.#hardState = boot.hardState;
    assert(boot.hardState.term >= this.log.last.term, "an entry is never durable before its term");
    for (const membership of this.log.memberships()) this.#wasMember ||= this.#isIn(membership);
    this.restartTimer();
  }

  get term(): Term {
    return this.#hardState.term;
  }

  get vote(): NodeId | null {
    return this.#hardState.vote;
  }

  get hardStateSeq(): number {
    return this.#hardStateSeq;
  }

  get leader(): NodeId | null {
    return this.#leader;
  }

  /**
   * Up to here the log was compared with that of this term's leader. It holds for as long as the term does, also for a member that has asked
   * meanwhile whether it could lead: the leader, who knows what it acknowledged, sends it no entry again, and it would not commit the last ones.
   */
  get verifiedIndex(): Index {
    return this.#verifiedIndex;
  }

  verified(index: Index): void {
    this.#verifiedIndex = Math.max(this.#verifiedIndex, index);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The driver's clock is monotonic; if it is not, time stands still rather than going back. */
  passTimeTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
  }

  /** No longer a member, by its own log or by what others say that is newer than its own log. */
  get isRemoved(): boolean {
    const { membership, membershipIndex } = this.log;
    if (this.#removedAt === 0 || this.#removedAt < membershipIndex) return false;
    return this.#removedAt > membershipIndex || !this.#isIn(membership);
  }

  /** Whether this member may campaign. Learners, the removed, the recovering and those without a disk may not. */
  get isPromotable(): boolean {
    return this.#isTrustworthy && !this.isRemoved && this.#isElector;
  }

  /**
   * A voter of the membership in force; or of an earlier one, while nothing later is known to be committed: this member may be the only one
   * that has the entry which removes it, and then nobody else can be elected to commit that (thesis §4.2.2). Its own vote does not count
   * for it.
   */
  get #isElector(): boolean {
    return this.log.possibleMemberships.some((known) => isVoter(known, this.id) && this.#isIn(known));
  }

  /**
   * Whether this member may vote. A learner may: the candidate can know of its promotion before it does itself. A member that knows of
   * no membership at all may not, nor one whose id now belongs to another incarnation: it may be a voter that lost its disk.
   */
  get mayVote(): boolean {
    const { membership, membershipIndex } = this.log;
    const namesake = memberOf(membership, this.id);
    return (
      this.#isTrustworthy &&
      membershipIndex > 0 &&
      (namesake === undefined || namesake.incarnation === this.incarnation)
    );
  }

  get #isTrustworthy(): boolean {
    return !this.isStorageFailed && !this.recovery.isRecovering;
  }

  #isIn(membership: LogBase["membership"]): boolean {
    return memberOf(membership, this.id)?.incarnation === this.incarnation;
  }

  /** A leader is alive as far as this member knows: an election now would only disturb (thesis §4.2.3). */
  get hearsLeader(): boolean {
    return this.#leader === this.id || (this.#leader !== null && this.timer.heardLeaderLately);
  }

  /** An entry of the current term is committed: only then does its leader know everything that is (paper §5.4.2, §8). */
  get knowsCommits(): boolean {
    return this.log.termAt(this.log.commitIndex) === this.term;
  }

  /** Waits anew for a leader. A sole voter has nobody to wait for. */
  restartTimer(): void {
    if (isSoleVoter(this.log.membership, this.id)) this.timer.restartWith(1);
    else this.timer.restart();
  }

  setLeader(leader: NodeId | null): void {
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.event({ kind: "leaderChanged", leader, term: this.term });
  }

  /** Returns the write that a promise made in this term, or with this vote, has to wait for. */
  setHardState(hardState: HardState): number {
    assert(hardState.term >= this.term, "the term never decreases");
    if (hardState.term > this.term) this.#verifiedIndex = 0;
    assert(
      hardState.term > this.term || this.vote === null || hardState.vote === this.vote,
      "a vote is given once per term",
    );
    this.#hardState = hardState;
    this.#hardStateSeq = this.outbox.persistHardState(hardState);
    return this.#hardStateSeq;
  }

  /** Sends once everything up to `afterSeq`, and the term, is durable. */
  send(message: Message, afterSeq = 0): void {
    this.outbox.send(message, Math.max(afterSeq, this.#hardStateSeq));
  }

  /** The head of a message to `to`. */
  to(to: NodeId): { from: NodeId; to: NodeId; term: Term } {
    return { from: this.id, to, term: this.term };
  }

  event(event: RaftEvent): void {
    this.outbox.event(event);
  }

  ignore(message: Message, reason: string): void {
    this.event({ kind: "messageIgnored", type: message.type, from: message.from, reason });
  }

  /** Appends entries, after cutting off those that conflict with them. A membership among them is in force at once. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#changingMembership(() => {
      const conflicts = first.index <= this.log.lastIndex;
      const seq = this.outbox.persistEntries(conflicts ? first.index - 1 : null, entries);
      if (conflicts) this.#truncateAfter(first.index - 1);
      this.log.append(entries, seq);
    });
  }

  #truncateAfter(after: Index): void {
    this.event({ kind: "truncated", after, dropped: this.log.lastIndex - after });
    this.log.truncateAfter(after);
  }

  commitTo(index: Index): void {
    if (index <= this.log.commitIndex) return;
    this.log.commitTo(index);
    this.#noteRemoval();
    this.maybeEndRecovery();
  }

  /** The driver installed a snapshot: the state machine is at `base.last` now. Returns the write that a reply has to wait for. */
  installSnapshot(base: LogBase): number {
    if (this.log.has(base.last)) this.#skipTo(base.last.index);
    else this.#changingMembership(() => this.#startOverFrom(base));
    this.staleness.applied(this.log.appliedIndex);
    this.#noteRemoval();
    this.maybeEndRecovery();
    return this.outbox.lastSeq;
  }

  /** What follows the snapshot stays. The log on disk begins after it from now on, and so does this one. */
  #skipTo(index: Index): void {
    this.log.skipTo(index);
    this.outbox.push({ kind: "compactLog", seq: this.outbox.lastSeq, base: this.log.compactTo(index) });
  }

  /** A tail that conflicts with the snapshot must not come back after a crash, so it is cut in the same lane. */
  #startOverFrom(base: LogBase): void {
    if (this.log.lastIndex > base.last.index) this.outbox.persistEntries(base.last.index, []);
    this.log.resetTo(base);
    this.outbox.push({ kind: "compactLog", seq: this.outbox.lastSeq, base });
  }

  /** Somebody told us that the membership at `index` does not include us. Our own log knows better if it is newer. */
  heardOfRemoval(index: Index): void {
    const { membership, membershipIndex } = this.log;
    if (
      index < membershipIndex ||
      index <= this.#removedAt ||
      (index === membershipIndex && this.#isIn(membership))
    )
      return;
    this.#removedAt = index;
    this.event({ kind: "removed", index });
  }

  #noteRemoval(): void {
    const { membership, membershipIndex, commitIndex } = this.log;
    if (
      !this.#wasMember ||
      membershipIndex > commitIndex ||
      this.#isIn(membership) ||
      this.#removedAt >= membershipIndex
    )
      return;
    this.#removedAt = membershipIndex;
    this.event({ kind: "removed", index: membershipIndex });
  }

  /** Records the end of the recovery once its goal is committed and durable here. */
  maybeEndRecovery(): void {
    if (!this.recovery.isGoalReached(this.log)) return;
    const seq = this.outbox.nextSeq();
    this.recovery.recordedBy(seq);
    this.outbox.push({ kind: "recovered", seq });
  }

  #changingMembership(change: () => void): void {
    const before = this.log.membership;
    change();
    // Not by its index: what a new leader cuts off and what it brings may stand at the same one.
    const { membership, membershipId } = this.log;
    if (membership === before) return;
    this.#wasMember ||= this.#isIn(membership);
    this.event({ kind: "membershipChanged", membership, at: membershipId });
  }
}
