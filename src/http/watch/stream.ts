/**
 * One open watch: what has been sent, and what to do when its client reads slower than things change.
 *
 * ```
 * catching up ──nothing is missing──▶ live ──reads too slowly──▶ behind
 *      │                               ▲                          │ has read what was sent
 *      └──── the gap cannot be ────────┴──────── snapshot ◀───────┘
 *            filled: snapshot
 * ```
 *
 * So a stream holds at most one buffer of changes and one snapshot, which streams of the same filter share.
 */

import type { ServerResponse } from "node:http";
import { CatchUp, type MissedChanges } from "./catch-up.ts";
import type { EventFrames, WatchFormat } from "./frames.ts";

export interface StreamLimits {
  /** A live stream whose client has more than this waiting for it is behind. */
  readonly bufferBytesMax: number;
  /** A client that takes nothing for so long is cut off. */
  readonly stalledMsMax: number;
}

export interface StreamSource extends MissedChanges {
  snapshot(): { readonly bytes: Buffer; readonly revision: number };
}

/** Changes that one set of streams gets together, in order of revision. */
export interface Delivery {
  readonly frames: readonly EventFrames[];
  readonly bytes: Buffer;
  readonly format: WatchFormat;
}

export class WatchStream {
  readonly #response: ServerResponse;
  readonly #limits: StreamLimits;
  readonly #source: StreamSource;
  /** Everything of its filter up to here has been handed to the connection. */
  #revision = 0;
  #catchUp: CatchUp | null = null;
  #isBehind = false;
  /** Of a snapshot that is still on its way: it does not count against the buffer. */
  #snapshotBytes = 0;
  /** Writes handed to the connection, and those of them that have left this process. */
  #writes = 0;
  #flushed = 0;
  #waitingBytes = 0;
  #stalledSinceMs: number | null = null;

  constructor(response: ServerResponse, limits: StreamLimits, source: StreamSource) {
    this.#response = response;
    this.#limits = limits;
    this.#source = source;
    response.on("drain", () => this.#drained());
  }

  /** @param afterRevision What the client has seen; null for nothing. */
  start(afterRevision: number | null): void {
    if (afterRevision === null) return this.#sendSnapshot();
    this.#revision = afterRevision;
    this.#catchUp = new CatchUp(this.#source, afterRevision);
    this.#pump();
  }

  deliver(delivery: Delivery): void {
    const [first] = delivery.frames;
    const last = delivery.frames.at(-1);
    if (first === undefined || last === undefined || last.revision <= this.#revision || !this.#isLive) return;
    if (this.#response.writableLength > this.#limits.bufferBytesMax + this.#snapshotBytes) {
      this.#isBehind = true;
      return;
    }
    this.#write(first.revision > this.#revision ? delivery.bytes : this.#unsent(delivery));
    this.#revision = last.revision;
  }

  /** The registry has moved without changes to deliver. */
  reset(): void {
    this.#catchUp = null;
    if (this.#response.writableNeedDrain) this.#isBehind = true;
    else this.#sendSnapshot();
  }

  /** Tells the client how far the registry has come, so that it can resume from there. */
  sync(frame: Buffer, revision: number): void {
    if (!this.#isLive || revision < this.#revision || this.#response.writableNeedDrain) return;
    this.#revision = revision;
    this.#write(frame);
  }

  /** `revision`: what has been delivered to everybody; a snapshot may have brought this stream further. The client goes on from what it is told. */
  end(lastWords: (revision: number) => Buffer, revision: number): void {
    this.#response.end(this.#isLive ? lastWords(Math.max(revision, this.#revision)) : undefined);
  }

  /** Cuts off a client that has taken nothing for too long. Called now and then. */
  checkProgress(nowMs: number): void {
    const waiting = this.#response.writableLength;
    if (waiting === 0 || waiting < this.#waitingBytes) this.#stalledSinceMs = null;
    else this.#stalledSinceMs ??= nowMs;
    this.#waitingBytes = waiting;
    const stalledMs = this.#stalledSinceMs === null ? 0 : nowMs - this.#stalledSinceMs;
    if (stalledMs > this.#limits.stalledMsMax) this.#response.destroy();
  }

  /** Names what has been handed over up to now, to be asked for with `hasFlushed`; null while something is held back. */
  mark(): number | null {
    return this.#isLive || this.#response.destroyed ? this.#writes : null;
  }

  hasFlushed(mark: number): boolean {
    return this.#flushed >= mark || this.#response.destroyed;
  }

  #write(bytes: Buffer): boolean {
    this.#writes += 1;
    return this.#response.write(bytes, () => {
      this.#flushed += 1;
    });
  }

  get #isLive(): boolean {
    return this.#catchUp === null && !this.#isBehind;
  }

  #drained(): void {
    this.#snapshotBytes = 0;
    if (this.#isBehind) this.#sendSnapshot();
    else this.#pump();
  }

  #sendSnapshot(): void {
    const { bytes, revision } = this.#source.snapshot();
    this.#isBehind = false;
    this.#catchUp = null;
    this.#revision = revision;
    this.#snapshotBytes = bytes.length;
    if (this.#write(bytes)) this.#snapshotBytes = 0;
  }

  /** Sends what was missed until the connection is full or nothing is missing. */
  #pump(): void {
    while (this.#catchUp !== null && !this.#response.writableNeedDrain && !this.#response.destroyed) {
      const piece = this.#catchUp.next();
      if (piece === "gap") return this.#sendSnapshot();
      if (piece === "live") {
        this.#catchUp = null;
        return;
      }
      if (piece.bytes.length > 0) this.#write(piece.bytes);
      this.#revision = piece.revision;
    }
  }

  #unsent({ frames, format }: Delivery): Buffer {
    return Buffer.from(
      frames
        .filter(({ revision }) => revision > this.#revision)
        .map((frame) => frame.in(format))
        .join(""),
    );
  }
}
