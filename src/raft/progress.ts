/**
 * One follower as the leader sees it.
 *
 *              accepted                     entry needed is compacted
 *     probe ────────────▶ replicate     probe, replicate ─────────────▶ snapshot
 *     probe ◀──────────── replicate                probe ◀───────────── snapshot
 *           refused, or link broken                  transfer ended, or log reached
 *
 * probe: where the logs agree is unknown; one Append per heartbeat interval. replicate: they agree up to matchIndex, and entries are
 * sent ahead of acknowledgements, within a window. snapshot: nothing is sent until the follower has the image.
 */

import { assert } from "./assert.ts";
import type { RaftConfig } from "./config.ts";
import type { PeerStatus } from "./io.ts";
import type { Index, NodeId } from "./types.ts";

interface SentAppend {
  readonly lastIndex: Index;
  readonly bytes: number;
}

/** Appends on their way to one follower. */
export class Inflight {
  readonly #limits: Pick<RaftConfig, "inflightMessagesMax" | "inflightBytesMax">;
  #sent: SentAppend[] = [];
  #bytes = 0;

  constructor(limits: Pick<RaftConfig, "inflightMessagesMax" | "inflightBytesMax">) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#sent.length;
  }

  get isFull(): boolean {
    return (
      this.#sent.length >= this.#limits.inflightMessagesMax || this.#bytes >= this.#limits.inflightBytesMax
    );
  }

  add(lastIndex: Index, bytes: number): void {
    this.#sent.push({ lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** Acknowledgements are cumulative: everything up to `index` has arrived. */
  acknowledge(index: Index): void {
    this.#keep(this.#sent.filter((message) => message.lastIndex > index));
  }

  clear(): void {
    this.#keep([]);
  }

  #keep(sent: SentAppend[]): void {
    this.#sent = sent;
    this.#bytes = sent.reduce((sum, message) => sum + message.bytes, 0);
  }
}

export class Progress {
  readonly id: NodeId;
  readonly inflight: Inflight;
  #state: PeerStatus["state"] = "probe";
  /** The follower's log is known to equal ours up to here, durably. Starts at 0; never decreases in a leadership, unless the follower lost its memory. */
  #matchIndex: Index = 0;
  /** The next entry to send; always above #matchIndex. */
  #nextIndex: Index;
  /** Probe: one was sent, and the next waits for its answer or that of the next heartbeat. */
  #isPaused = false;
  /** The commit index in the newest Append; a higher one is news for the follower. */
  sentCommit: Index = 0;
  /** Set at each heartbeat; the reply to it sends whatever got lost on the way. */
  isRetryDue = false;
  /** Any reply since the last quorum check. */
  isRecentlyActive = false;
  /** The highest heartbeat round that the follower answered. */
  ackedRound = 0;
  appliedIndex: Index = 0;
  lastContactMs: number | null = null;
  /** Not null while the follower cannot count, having lost its memory: the last index of our log when we first heard of that. */
  recoveryBarrier: Index | null = null;

  constructor(options: { readonly id: NodeId; readonly nextIndex: Index; readonly config: RaftConfig }) {
    this.id = options.id;
    this.#nextIndex = options.nextIndex;
    this.inflight = new Inflight(options.config);
  }

  get state(): PeerStatus["state"] {
    return this.#state;
  }

  get matchIndex(): Index {
    return this.#matchIndex;
  }

  get nextIndex(): Index {
    return this.#nextIndex;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get isRecovering(): boolean {
    return this.recoveryBarrier !== null;
  }

  /** Its log equals ours up to `index`. Old news changes nothing. */
  matched(index: Index): void {
    this.#matchIndex = Math.max(this.#matchIndex, index);
    this.#nextIndex = Math.max(this.#nextIndex, index + 1);
    this.inflight.acknowledge(index);
  }

  /** An Append that ended at `lastIndex` was sent ahead of its acknowledgement. */
  sentUpTo(lastIndex: Index, bytes: number): void {
    assert(
      this.#state === "replicate" && lastIndex >= this.#nextIndex,
      "only entries not yet sent are sent ahead",
    );
    this.#nextIndex = lastIndex + 1;
    this.inflight.add(lastIndex, bytes);
  }

  /**
   * The follower refused an Append whose previous index was `refusedIndex`, and our logs agree at best up to `agreeIndex`. A refusal at
   * or below matchIndex, or of something other than the last probe, was overtaken on its way and changes nothing. Unless the follower
   * lost its memory: then matchIndex may stem from before, and as it counts for nothing, it may go down.
   */
  refused(refusedIndex: Index, agreeIndex: Index): void {
    if (this.isRecovering)
      this.#matchIndex = Math.max(Math.min(this.#matchIndex, agreeIndex, refusedIndex - 1), 0);
    if (refusedIndex <= this.#matchIndex || this.#state === "snapshot") return;
    if (this.#state === "probe" && refusedIndex !== this.#nextIndex - 1) return;
    this.becomeProbe(Math.min(refusedIndex, agreeIndex + 1));
  }

  becomeProbe(nextIndex: Index): void {
    this.#become("probe");
    this.#nextIndex = Math.max(nextIndex, this.#matchIndex + 1);
  }

  /** Sends nothing more until it is heard of again. */
  becomePaused(): void {
    if (this.#state !== "probe") this.becomeProbe(this.#nextIndex);
    this.#isPaused = true;
  }

  /** It was heard of. */
  resume(): void {
    this.#isPaused = false;
  }

  becomeReplicate(): void {
    this.#become("replicate");
    this.#nextIndex = this.#matchIndex + 1;
  }

  becomeSnapshot(): void {
    this.#become("snapshot");
  }

  /** The follower lost its memory: what it once acknowledged means nothing any more. */
  forget(barrier: Index): void {
    this.recoveryBarrier = barrier;
    this.#matchIndex = 0;
    this.sentCommit = 0;
    this.becomeProbe(barrier + 1);
  }

  /** The index that the follower must hold in order to count again, once that is committed; 0 for none. */
  recoveryIndex(commitIndex: Index): Index {
    if (this.recoveryBarrier === null || commitIndex <= this.recoveryBarrier) return 0;
    return this.recoveryBarrier + 1;
  }

  #become(state: PeerStatus["state"]): void {
    this.#state = state;
    this.#isPaused = false;
    this.inflight.clear();
  }
}
