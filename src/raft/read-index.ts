/**
 * Linearizable reads without writing (thesis §6.4).
 *
 * A read is answered with an index that holds everything committed before the read was asked for; whoever has applied that index may
 * serve it. The leader must first prove that it still leads: it sends a heartbeat round that begins after the read arrived, and waits
 * for a quorum to answer that round. Rounds are numbered by the leader and never by the caller, or an old acknowledgement of an equal
 * number would confirm a new read.
 */

import type { RejectReason } from "./io.ts";
import type { RaftNode } from "./node.ts";
import type { Index, NodeId } from "./types.ts";

/** Who asked: this member's driver, or a follower. */
export type ReadOrigin =
  | { readonly kind: "local"; readonly ctx: number }
  | { readonly kind: "follower"; readonly from: NodeId; readonly id: string };

interface PendingRead {
  readonly origin: ReadOrigin;
  readonly deadlineTick: number;
  /** The round that can confirm it and the commit index when that was sent; null until one is sent. */
  proof: { readonly round: number; readonly index: Index } | null;
}

/** The leader's side: reads waiting for proof. */
export class PendingReads {
  readonly #node: RaftNode;
  /** In order of arrival; those with a proof, and the lower rounds, come first. */
  #reads: PendingRead[] = [];
  #tick = 0;

  constructor(node: RaftNode) {
    this.#node = node;
  }

  get count(): number {
    return this.#reads.length;
  }

  /** Whether some reads wait for a round in flight. Those that come meanwhile share the next one. */
  get areInFlight(): boolean {
    return this.#reads[0] !== undefined && this.#reads[0].proof !== null;
  }

  get areWaitingForRound(): boolean {
    return this.#reads.at(-1)?.proof === null;
  }

  /** The highest round and index that a read waits for. */
  get newestProof(): { readonly round: number; readonly index: Index } | null {
    return this.#reads.findLast((read) => read.proof !== null)?.proof ?? null;
  }

  add(origin: ReadOrigin): void {
    if (this.#reads.length >= this.#node.config.pendingReadsMax) return this.#fail(origin, "overloaded");
    this.#reads.push({ origin, deadlineTick: this.#tick + this.#node.config.electionTicks, proof: null });
  }

  /** A round is about to be sent: it can confirm every read that has arrived by now. */
  sendWith(round: number): void {
    const proof = { round, index: this.#node.log.commitIndex };
    for (const read of this.#reads) read.proof ??= proof;
  }

  /** A quorum has answered `round`, so we were the leader when it was sent. */
  confirm(round: number): void {
    for (let read = this.#reads[0]; read?.proof && read.proof.round <= round; read = this.#reads[0]) {
      this.#answer(read.origin, read.proof.index);
      this.#reads.shift();
    }
  }

  /** Gives up on reads that have waited for a whole election timeout. The caller asks again, as a new read. */
  tick(): void {
    this.#tick += 1;
    while (this.#reads[0] !== undefined && this.#reads[0].deadlineTick <= this.#tick) {
      this.#fail(this.#reads[0].origin, "notReady");
      this.#reads.shift();
    }
  }

  failAll(reason: RejectReason): void {
    for (const read of this.#reads) this.#fail(read.origin, reason);
    this.#reads = [];
  }

  #answer(origin: ReadOrigin, index: Index): void {
    if (origin.kind === "local") this.#node.outbox.push({ kind: "readReady", ctx: origin.ctx, index });
    else this.#node.send({ ...this.#node.to(origin.from), type: "readIndexReply", id: origin.id, index });
  }

  #fail(origin: ReadOrigin, reason: RejectReason): void {
    if (origin.kind === "local") this.#node.outbox.push({ kind: "readFailed", ctx: origin.ctx, reason });
    else
      this.#node.send({ ...this.#node.to(origin.from), type: "readIndexReply", id: origin.id, index: null });
  }
}

/** The follower's side: reads that the leader was asked about. They belong to one leader, and end with it. */
export class ForwardedReads {
  readonly #node: RaftNode;
  readonly #reads = new Map<string, { readonly ctx: number; readonly deadlineTick: number }>();
  #tick = 0;

  constructor(node: RaftNode) {
    this.#node = node;
  }

  ask(leader: NodeId | null, ctx: number, id: string): void {
    if (leader === null) return this.#fail(ctx, "notLeader");
    if (this.#reads.size >= this.#node.config.pendingReadsMax) return this.#fail(ctx, "overloaded");
    if (this.#reads.has(id)) return this.#fail(ctx, "notReady");
    this.#reads.set(id, { ctx, deadlineTick: this.#tick + this.#node.config.electionTicks });
    this.#node.send({ ...this.#node.to(leader), type: "readIndex", id });
  }

  /** The leader's answer. One that nobody waits for any more is dropped: ids are never used twice. */
  answer(id: string, index: Index | null): void {
    const read = this.#reads.get(id);
    if (read === undefined) return;
    this.#reads.delete(id);
    if (index === null) this.#fail(read.ctx, "notReady");
    else this.#node.outbox.push({ kind: "readReady", ctx: read.ctx, index });
  }

  /** Question or answer may be lost: gives up after an election timeout. A map keeps the order of insertion, so the oldest come first. */
  tick(): void {
    this.#tick += 1;
    for (const [id, read] of this.#reads) {
      if (read.deadlineTick > this.#tick) return;
      this.#reads.delete(id);
      this.#fail(read.ctx, "notReady");
    }
  }

  failAll(reason: RejectReason): void {
    for (const { ctx } of this.#reads.values()) this.#fail(ctx, reason);
    this.#reads.clear();
  }

  #fail(ctx: number, reason: RejectReason): void {
    this.#node.outbox.push({ kind: "readFailed", ctx, reason });
  }
}
