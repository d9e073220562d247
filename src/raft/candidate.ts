/**
 * Asking to lead, in two stages: a pre-candidate asks whether it could win, which disturbs nobody (thesis §9.6); a candidate has raised
 * its term, voted for itself, and asks for votes (paper §5.2). A failed election goes back to the first stage.
 */

import { voterIds } from "./membership.ts";
import type { Message, PreVoteReply, VoteReply } from "./messages.ts";
import type { RaftNode } from "./node.ts";
import { voteResult } from "./quorum.ts";
import type { Transitions } from "./role.ts";
import type { NodeId } from "./types.ts";

export class PreCandidate {
  readonly role = "preCandidate";
  readonly #node: RaftNode;
  readonly #transitions: Transitions;
  /** By member, so that a repeated reply counts once. */
  readonly votes = new Map<NodeId, boolean>();

  constructor(node: RaftNode, transitions: Transitions) {
    this.#node = node;
    this.#transitions = transitions;
  }

  /** Our own answer is yes, and promises nothing, so it need not be durable. */
  start(): void {
    this.#node.restartTimer();
    const { last } = this.#node.log;
    for (const to of otherVoters(this.#node)) {
      this.#node.send({ ...this.#node.to(to), type: "preVote", term: this.#node.term + 1, last });
    }
    this.#count(this.#node.id, true);
  }

  tick(): void {
    if (this.#node.timer.tick()) this.#transitions.becomePreCandidate();
  }

  /** Everything but the answers to our question belongs to other roles. */
  receive(message: Message): void {
    if (message.type === "preVoteReply") this.#reply(message);
    if (message.type === "readIndex") refuseRead(this.#node, message);
    if (message.type === "removed") learnRemoval(this.#node, this.#transitions, message);
  }

  stored(): void {
    // Nothing is promised at this stage.
  }

  /** A grant repeats the term that we asked about; one that does not was meant for another question. */
  #reply(message: PreVoteReply): void {
    if (message.granted && message.term !== this.#node.term + 1) return;
    this.#count(message.from, message.granted);
  }

  #count(id: NodeId, granted: boolean): void {
    this.votes.set(id, granted);
    const result = voteResult(this.#node.log.membership, this.votes);
    if (result === "won") this.#transitions.becomeCandidate({ transfer: false });
    else if (result === "lost") giveUp(this.#node, this.#transitions, "could not win an election");
  }
}

export class Candidate {
  readonly role = "candidate";
  readonly #node: RaftNode;
  readonly #transitions: Transitions;
  readonly #isTransfer: boolean;
  readonly votes = new Map<NodeId, boolean>();
  /** Our own vote is one as soon as it is durable: it must bind us after a crash as it binds others. */
  #ownVoteSeq = 0;

  constructor(node: RaftNode, transitions: Transitions, options: { readonly transfer: boolean }) {
    this.#node = node;
    this.#transitions = transitions;
    this.#isTransfer = options.transfer;
  }

  start(): void {
    const term = this.#node.term + 1;
    this.#ownVoteSeq = this.#node.setHardState({ term, vote: this.#node.id });
    this.#node.restartTimer();
    const { last } = this.#node.log;
    for (const to of otherVoters(this.#node)) {
      // Not before our log up to `last` is durable, too: a vote is won by the log that was shown for it.
      this.#node.send(
        { ...this.#node.to(to), type: "vote", last, transfer: this.#isTransfer },
        this.#ownVoteSeq,
      );
    }
  }

  /** After a failed election we ask first. But not while our own vote is still being written: a slow disk is not a lost election. */
  tick(): void {
    if (!this.#node.timer.tick()) return;
    if (this.#isOwnVoteDurable) this.#transitions.becomePreCandidate();
    else this.#node.restartTimer();
  }

  receive(message: Message): void {
    if (message.type === "voteReply") this.#reply(message);
    if (message.type === "readIndex") refuseRead(this.#node, message);
    if (message.type === "removed") learnRemoval(this.#node, this.#transitions, message);
  }

  stored(): void {
    if (!this.#isOwnVoteDurable || this.votes.has(this.#node.id)) return;
    // Only now were the others asked.
    this.#node.restartTimer();
    this.#count(this.#node.id, true);
  }

  get #isOwnVoteDurable(): boolean {
    return this.#node.outbox.storedSeq >= this.#ownVoteSeq;
  }

  #reply(message: VoteReply): void {
    this.#count(message.from, message.granted);
  }

  /** Without our own vote there is no majority yet, as others' votes are given to a candidate that votes for itself. */
  #count(id: NodeId, granted: boolean): void {
    this.votes.set(id, granted);
    const result = voteResult(this.#node.log.membership, this.votes);
    if (result === "won" && this.#isOwnVoteDurable) this.#transitions.becomeLeader();
    else if (result === "lost") giveUp(this.#node, this.#transitions, "lost the election");
  }
}

/** Back to waiting. The timer runs on, so the next attempt comes after what is left of a random wait. */
function giveUp(node: RaftNode, transitions: Transitions, reason: string): void {
  transitions.becomeFollower({ term: node.term, leader: null, reason });
}

/** A removed member would only disturb. */
function learnRemoval(
  node: RaftNode,
  transitions: Transitions,
  message: Message & { type: "removed" },
): void {
  node.heardOfRemoval(message.membershipIndex);
  if (node.isRemoved) giveUp(node, transitions, "removed from the cluster");
}

function otherVoters(node: RaftNode): NodeId[] {
  return voterIds(node.log.membership).filter((id) => id !== node.id);
}

/** Nobody leads as far as we know. */
function refuseRead(node: RaftNode, message: Message & { type: "readIndex" }): void {
  node.send({ ...node.to(message.from), type: "readIndexReply", id: message.id, index: null });
}
