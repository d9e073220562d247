/**
 * Brings writes to the leader: proposes them here when this member leads, forwards them as one batch when another does, and keeps
 * them waiting while nobody does.
 *
 * A batch that was certainly not applied goes back into the queue and finds the next leader, as long as its writes have time left. A
 * batch whose fate is unknown is tried again only where that is harmless: each write whose client sent an idempotency key.
 */

import { RollcallError } from "../lib/errors.ts";
import type { NodeId, Term } from "../raft/types.ts";
import { commandVersion, type CommandBatch, type CommandResult } from "../registry/commands.ts";
import type { AppliedWaiters } from "./applied-waiters.ts";
import { commandInWords } from "./command-words.ts";
import type { Proposal, ProposalEnd, Proposals } from "./proposals.ts";
import {
  byUrgency,
  endUnapplied,
  isUrgent,
  unknownOutcome,
  type PendingWrite,
  type WriteEnd,
} from "./pending-write.ts";
import type { CommandCodec, PeerNetwork, PeerOutcome, PeerReply, PeerRequest, Scheduler } from "./ports.ts";
import type { WriteQueue } from "./write-queue.ts";

/** Who leads, as this member believes. */
export interface Leadership {
  readonly leader: NodeId | null;
  readonly term: Term;
}

export interface RoutedProposal {
  readonly payload: Uint8Array;
  readonly ifTerm: Term | null;
  readonly isUrgent: boolean;
}

export interface WriteRouterOptions {
  readonly self: NodeId;
  readonly queue: WriteQueue;
  readonly proposals: Proposals;
  readonly appliedIndex: AppliedWaiters;
  readonly codec: CommandCodec;
  readonly peers: PeerNetwork;
  readonly scheduler: Scheduler;
  readonly forwardsInflightMax: number;
  readonly retryDelayMs: number;
  readonly leadership: () => Leadership;
  /** Steps the proposal; the answer comes to `proposals`. */
  readonly propose: (context: number, proposal: RoutedProposal) => void;
  readonly nowMs: () => number;
  readonly wake: () => void;
}

export class WriteRouter {
  readonly #options: WriteRouterOptions;
  #forwardsInflight = 0;
  /** Proposed or forwarded, and not answered yet. */
  readonly #inflight = new Set<PendingWrite>();
  /** Until then nothing is sent again after a refusal, so that a leader in transition is not asked in a tight loop. */
  #pausedUntilMs = 0;
  /**
   * A batch was refused for want of room, and no ordinary write was committed since. So long what is urgent goes in a batch of its own: it may
   * use room that others may not, and must not be refused with them.
   */
  #isCrowded = false;

  constructor(options: WriteRouterOptions) {
    this.#options = options;
  }

  /** Moves what waits in the queue as far as it can go now. Once a turn. */
  route(): void {
    const { queue, self } = this.#options;
    const { leader, term } = this.#options.leadership();
    const nowMs = this.#options.nowMs();
    if (leader === null || nowMs < this.#pausedUntilMs) return;
    while (queue.length > 0) {
      if (leader !== self && this.#forwardsInflight >= this.#options.forwardsInflightMax) return;
      const writes = queue.takeBatch(nowMs);
      if (writes.length === 0) return;
      for (const batch of this.#isCrowded ? apart(writes) : [writes]) this.#send(batch, { leader, term });
    }
  }

  #send(writes: readonly PendingWrite[], { leader, term }: Leadership & { readonly leader: NodeId }): void {
    for (const write of writes) this.#inflight.add(write);
    if (leader === this.#options.self) this.#propose(writes);
    else this.#forward(writes, leader, term);
  }

  /** Ends what was sent and has outlived its time: it may yet take effect. */
  expire(nowMs: number): void {
    for (const write of this.#inflight) {
      if (write.deadlineMs <= nowMs)
        this.#end(write, { kind: "error", error: unknownOutcome(write, "it was not committed in time") });
    }
  }

  /** This member can bring nothing to its end any more: whatever is under way may yet take effect. */
  close(why: string): void {
    for (const write of this.#inflight)
      this.#end(write, { kind: "error", error: unknownOutcome(write, why) });
  }

  /** A batch that another member forwarded here. */
  proposeForwarded(
    request: Extract<PeerRequest, { kind: "propose" }>,
    reply: (reply: PeerReply) => void,
  ): void {
    const { leader, term } = this.#options.leadership();
    const reject = (reason: "notLeader" | "termChanged" | "expired" | "malformed"): void =>
      reply({ kind: "rejected", reason, leader });
    if (leader !== this.#options.self) return reject("notLeader");
    if (term !== request.term) return reject("termChanged");
    if (request.budgetMs <= 0) return reject("expired");
    const batch = this.#decode(request.payload);
    if (batch === null) return reject("malformed");
    const deadlineMs = this.#options.nowMs() + request.budgetMs;
    const end = (proposalEnd: ProposalEnd): void => reply(replyTo(proposalEnd, leader));
    this.#step({ batch, deadlineMs, end }, request.payload, request.term);
  }

  #decode(payload: Uint8Array): CommandBatch | null {
    try {
      return this.#options.codec.decode(payload);
    } catch {
      return null;
    }
  }

  #propose(writes: readonly PendingWrite[]): void {
    const batch = batchOf(writes);
    const deadlineMs = Math.max(...writes.map((write) => write.deadlineMs));
    const end = (proposalEnd: ProposalEnd): void => this.#proposalEnded(writes, proposalEnd);
    this.#step({ batch, deadlineMs, end }, this.#options.codec.encode(batch), null);
  }

  /** `payload`: the proposal's batch, encoded. */
  #step(proposal: Proposal, payload: Uint8Array, ifTerm: Term | null): void {
    const context = this.#options.proposals.open(proposal);
    const { envelopes } = proposal.batch;
    this.#options.propose(context, { payload, ifTerm, isUrgent: envelopes.every(isUrgent) });
  }

  #proposalEnded(writes: readonly PendingWrite[], end: ProposalEnd): void {
    if (end.kind === "committed") this.#committed(writes, end.results, end.entry.index);
    else if (end.kind === "rejected") this.#refused(writes, end.reason);
    else this.#unknown(writes, "its leader lost touch with the majority before it was committed");
  }

  #forward(writes: readonly PendingWrite[], leader: NodeId, term: Term): void {
    const nowMs = this.#options.nowMs();
    // Each write ends at its own deadline (`expire`); the batch goes on for the one with the most time.
    const budgetMs = Math.max(...writes.map((write) => write.deadlineMs)) - nowMs;
    const payload = this.#options.codec.encode(batchOf(writes));
    this.#forwardsInflight += 1;
    this.#options.peers.request(leader, { kind: "propose", term, budgetMs, payload }, budgetMs, (outcome) => {
      this.#forwardsInflight -= 1;
      this.#forwardEnded(writes, leader, outcome);
      this.#options.wake();
    });
  }

  #forwardEnded(writes: readonly PendingWrite[], leader: NodeId, outcome: PeerOutcome): void {
    if (outcome.kind === "notSent") return this.#refused(writes, outcome.reason);
    if (outcome.kind === "broken")
      return this.#unknown(writes, `the connection to the leader ${leader} broke: ${outcome.reason}`);
    const { reply } = outcome;
    const isWhole = reply.kind === "committed" && reply.results.length === writes.length;
    if (isWhole) return this.#committed(writes, reply.results, reply.index);
    if (reply.kind === "rejected") return this.#refused(writes, reply.reason);
    this.#unknown(writes, `the leader ${leader} could not tell whether it was committed`);
  }

  #committed(writes: readonly PendingWrite[], results: readonly CommandResult[], index: number): void {
    if (this.#isCrowded) this.#isCrowded = writes.every(({ envelope }) => isUrgent(envelope));
    writes.forEach((write, position) => {
      const result = results[position];
      if (result === undefined) throw new Error(`entry ${index} has too few results`);
      if (!write.awaitApplied) return this.#end(write, { kind: "result", result });
      this.#options.appliedIndex.wait(index, write.deadlineMs, (reached) => {
        if (reached) this.#end(write, { kind: "result", result });
        else
          this.#end(write, {
            kind: "error",
            error: unknownOutcome(write, "it was committed, but this member has not applied it yet"),
          });
      });
    });
  }

  /** Surely without effect: wait a moment and try again. Writes without time left are ended by the queue. */
  #refused(writes: readonly PendingWrite[], reason: string): void {
    if (reason === "malformed")
      return this.#fail(writes, "the leader could not read it; do all members run the same version?");
    if (reason === "overloaded") this.#isCrowded = true;
    this.#options.queue.putBack(writes.filter((write) => this.#inflight.delete(write)));
    this.#pausedUntilMs = this.#options.nowMs() + this.#options.retryDelayMs;
    this.#options.scheduler.after(this.#options.retryDelayMs, () => this.#options.wake());
  }

  #unknown(writes: readonly PendingWrite[], why: string): void {
    const open = writes.filter((write) => this.#inflight.delete(write));
    this.#options.queue.putBack(open.filter(isRepeatable).map((write) => ({ ...write, mayBeApplied: true })));
    for (const write of open)
      if (!isRepeatable(write)) write.end({ kind: "error", error: unknownOutcome(write, why) });
  }

  #fail(writes: readonly PendingWrite[], why: string): void {
    for (const write of writes) {
      if (!this.#inflight.delete(write)) continue;
      endUnapplied(
        write,
        new RollcallError(
          "internal",
          `the ${commandInWords(write.envelope.command)} was not applied: ${why}`,
        ),
      );
    }
  }

  /** Answers a write, unless its time was over before. */
  #end(write: PendingWrite, end: WriteEnd): void {
    if (this.#inflight.delete(write)) write.end(end);
  }
}

/** Whether doing it twice is the same as doing it once. */
function isRepeatable(write: PendingWrite): boolean {
  const { command, idempotencyKey } = write.envelope;
  const isPlainRenewal = command.kind === "renew" || (command.kind === "renewOne" && command.status === null);
  return idempotencyKey !== null || isPlainRenewal;
}

/** Both parts go, or those who only ever find one place free among the forwards would bring nothing but what is urgent. */
function apart(writes: readonly PendingWrite[]): readonly (readonly PendingWrite[])[] {
  const { urgent, ordinary } = byUrgency(writes);
  return [urgent, ordinary].filter(({ length }) => length > 0);
}

function batchOf(writes: readonly PendingWrite[]): CommandBatch {
  return { version: commandVersion, envelopes: writes.map((write) => write.envelope) };
}

function replyTo(end: ProposalEnd, leader: NodeId): PeerReply {
  if (end.kind === "committed")
    return { kind: "committed", term: end.entry.term, index: end.entry.index, results: end.results };
  if (end.kind === "rejected") return { kind: "rejected", reason: end.reason, leader };
  return { kind: "unknown" };
}
