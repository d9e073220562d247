/**
 * A follower takes the leader's entries, acknowledges what is durable, and starts asking for votes when the leader falls silent (paper
 * §5.2, §5.3). Learners, and members that were removed or lost their memory, are followers that never campaign.
 */

import { isAtLeast } from "./entry.ts";
import type { RejectReason } from "./io.ts";
import type { Append, Heartbeat, Message, SnapshotOffer, TimeoutNow } from "./messages.ts";
import type { RaftNode } from "./node.ts";
import { ForwardedReads } from "./read-index.ts";
import type { Transitions } from "./role.ts";
import type { Entry, EntryId, Index, NodeId, SnapshotMeta } from "./types.ts";

export class Follower {
  readonly role = "follower";
  readonly #node: RaftNode;
  readonly #transitions: Transitions;
  readonly #reads: ForwardedReads;
  /** The image that the driver is fetching, so that a repeated offer does not start it again. */
  #fetching: string | null = null;

  constructor(node: RaftNode, transitions: Transitions) {
    this.#node = node;
    this.#transitions = transitions;
    this.#reads = new ForwardedReads(node);
  }

  tick(): void {
    this.#reads.tick();
    if (!this.#node.timer.tick()) return;
    if (this.#node.isPromotable) return this.#transitions.becomePreCandidate();
    // Somebody who may not campaign can only stop believing in a leader that fell silent.
    this.#loseLeader();
    this.#node.restartTimer();
  }

  /** A message of the current term. */
  receive(message: Message): void {
    switch (message.type) {
      case "append":
        if (this.#follows(message)) this.#append(message);
        return;
      case "heartbeat":
        if (this.#follows(message)) this.#heartbeat(message);
        return;
      case "snapshotOffer":
        if (this.#follows(message)) this.#snapshotOffer(message);
        return;
      case "timeoutNow":
        return this.#timeoutNow(message);
      case "readIndexReply":
        return this.#reads.answer(message.id, message.index);
      case "removed":
        return this.#node.heardOfRemoval(message.membershipIndex);
      // Another follower takes us for the leader. It should look for the real one soon.
      case "readIndex":
        return this.#node.send({
          ...this.#node.to(message.from),
          type: "readIndexReply",
          id: message.id,
          index: null,
        });
      // Votes were answered before. Replies are for a role that we have left.
      case "preVote":
      case "preVoteReply":
      case "vote":
      case "voteReply":
      case "appendReply":
      case "heartbeatReply":
        return;
    }
  }

  read(ctx: number, id: string): void {
    this.#reads.ask(this.#node.leader, ctx, id);
  }

  stored(): void {
    // Nothing of a follower's own waits for its disk; what it promised to others does, in the driver.
  }

  /** The connection to `id` is gone. If it led, it is probably dead: do not wait for its silence to tell. */
  streamLost(id: NodeId): void {
    if (id !== this.#node.leader) return;
    this.#loseLeader();
    this.#node.timer.leaderLost();
  }

  snapshotInstalled(meta: SnapshotMeta): void {
    this.#fetching = null;
    const seq = this.#node.installSnapshot(meta);
    this.#node.verified(meta.last.index);
    const { leader } = this.#node;
    if (leader !== null) this.#accept({ from: leader, previousIndex: meta.last.index }, meta.last.index, seq);
  }

  snapshotFailed(id: string): void {
    if (this.#fetching === id) this.#fetching = null;
  }

  leave(reason: RejectReason): void {
    this.#reads.failAll(reason);
  }

  #loseLeader(): void {
    this.#node.setLeader(null);
    this.#reads.failAll("notLeader");
  }

  /** The sender leads this term, since only one can. Hearing it puts off any election. */
  #follows(message: Append | Heartbeat | SnapshotOffer): boolean {
    const { leader, timer } = this.#node;
    if (leader !== null && leader !== message.from) {
      this.#node.ignore(message, `${leader} leads this term`);
      return false;
    }
    this.#node.setLeader(message.from);
    timer.heardLeader();
    return true;
  }

  /** Entries that go after `previous`: taken if our log has `previous`, for then it equals the leader's up to there (paper §5.3). */
  #append(message: Append): void {
    const { log } = this.#node;
    const fault = appendFault(message);
    if (fault !== null) return this.#node.ignore(message, fault);
    const skipped = Math.max(log.commitIndex - message.previous.index, 0);
    // What is committed here is the same at the leader, which may know less of us than is true: begin where there may be news.
    if (message.entries.slice(0, skipped).some((entry) => log.conflictsWith(entry))) {
      return this.#node.ignore(message, "conflicts with committed entries");
    }
    if (skipped === 0 && !log.has(message.previous)) return this.#reject(message);
    this.#take(message, message.entries.slice(skipped), message.previous.index + skipped);
  }

  /** The log equals the leader's up to `previousIndex`; `entries` follow there. */
  #take(message: Append, entries: readonly Entry[], previousIndex: Index): void {
    const { log } = this.#node;
    // Only a real conflict cuts the log. Entries beyond a delayed, shorter message were taken from a later one and must stay.
    const first = entries.find((entry) => !log.has(entry));
    if (first !== undefined) {
      if (first.clusterTime < log.clusterTimeAt(first.index - 1))
        return this.#node.ignore(message, "cluster time decreases");
      this.#node.append(entries.slice(entries.indexOf(first)));
    }
    const matched = previousIndex + entries.length;
    this.#node.verified(matched);
    // Not beyond what this message verified: the rest of our log may not be the leader's (paper §5.3; Figure 2, AppendEntries 5).
    this.#node.commitTo(Math.min(message.commit, matched));
    this.#accept({ from: message.from, previousIndex: message.previous.index }, matched, log.seqOf(matched));
  }

  /** Not `lastIndex`: a longer tail of ours may not be the leader's. And not before the disk has it. */
  #accept(
    answered: { readonly from: NodeId; readonly previousIndex: Index },
    index: Index,
    seq: number,
  ): void {
    const { from, previousIndex } = answered;
    const recovering = this.#node.recovery.isRecovering;
    this.#node.send(
      {
        ...this.#node.to(from),
        type: "appendReply",
        previousIndex,
        accepted: true,
        index,
        hintTerm: 0,
        recovering,
      },
      seq,
    );
  }

  /** We do not have `previous`. Names the best place where the logs might agree, so that the leader can skip whole terms. */
  #reject(message: Append): void {
    const { log } = this.#node;
    const { previous, from } = message;
    const index = log.findByTerm(previous.index, previous.term);
    const hintTerm = log.termAt(index) ?? 0;
    const recovering = this.#node.recovery.isRecovering;
    this.#node.send({
      ...this.#node.to(from),
      type: "appendReply",
      previousIndex: previous.index,
      accepted: false,
      index,
      hintTerm,
      recovering,
    });
  }

  /** The leader lives, and tells what we may commit: only what it knows us to hold. */
  #heartbeat(message: Heartbeat): void {
    const { log, recovery, staleness, unreadSinceMs } = this.#node;
    if (message.commit > log.lastIndex && !recovery.isRecovering) this.#memoryLost(message.commit);
    // Only what was compared with this leader's log: what stands at those indexes may be older, if our disk has lost something.
    this.#node.commitTo(Math.min(message.commit, this.#node.verifiedIndex));
    recovery.aimFor(message.recoveryIndex);
    this.#node.maybeEndRecovery();
    staleness.learn(
      { index: message.leaderCommit, asOfMs: unreadSinceMs - message.leaderAgeMs },
      log.appliedIndex,
    );
    const { round, from } = message;
    this.#node.send({
      ...this.#node.to(from),
      type: "heartbeatReply",
      round,
      appliedIndex: log.appliedIndex,
      recovering: recovery.isRecovering,
    });
  }

  /** A leader commits us nothing that we have not acknowledged, so what we do not have, we had: this disk is not to be counted on. */
  #memoryLost(acknowledgedIndex: Index): void {
    const { log, recovery } = this.#node;
    recovery.begin();
    this.#node.event({ kind: "memoryLost", acknowledgedIndex, lastIndex: log.lastIndex });
  }

  /** Our next entry is compacted at the leader: fetch an image instead, unless it is old news or on its way already. */
  #snapshotOffer(message: SnapshotOffer): void {
    const { log } = this.#node;
    const { meta, from } = message;
    if (meta.last.index <= log.commitIndex) {
      return this.#accept(
        { from, previousIndex: meta.last.index },
        log.commitIndex,
        log.seqOf(log.commitIndex),
      );
    }
    if (this.#fetching === meta.id) return;
    this.#fetching = meta.id;
    this.#node.outbox.push({ kind: "fetchSnapshot", from, meta });
  }

  /** The leader wants us to take over (thesis §3.10). Without its whole log we would only cause an election and lose it. */
  #timeoutNow(message: TimeoutNow): void {
    const { leader, isPromotable, log } = this.#node;
    if (leader !== message.from) return this.#node.ignore(message, "not from our leader");
    if (!isPromotable) return this.#node.ignore(message, "may not lead");
    if (!isAtLeast(log.last, message.last)) return this.#node.ignore(message, "not caught up");
    this.#transitions.becomeCandidate({ transfer: true });
  }
}

/** What is wrong with an Append in itself, as a sentence; null when nothing is. No correct leader sends such a message. */
function appendFault(message: Append): string | null {
  let previous: EntryId = message.previous;
  let clusterTime = 0;
  for (const entry of message.entries) {
    if (entry.index !== previous.index + 1) return "entries are not contiguous";
    if (entry.term < previous.term) return "terms decrease";
    if (entry.clusterTime < clusterTime) return "cluster time decreases";
    previous = entry;
    clusterTime = entry.clusterTime;
  }
  return previous.term > message.term ? "an entry is from a later term" : null;
}
