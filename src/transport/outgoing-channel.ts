/**
 * The messages of one channel to one peer: down the stream that the peer has opened to us, or by POST while there is none.
 *
 * A peer that cannot be reached is rested for the length of a back-off, and what is meant for it meanwhile is dropped: old heartbeats
 * must not arrive in a burst when it returns, as if they were fresh.
 */

import type { ServerResponse } from "node:http";
import { Backoff } from "./backoff.ts";
import type { DialFailure } from "./dialer.ts";
import type { TransportLimits } from "./limits.ts";
import { Outbox, type OutgoingFrame } from "./outbox.ts";

/** Starts a POST of these bytes. Calls back exactly once, never within the call. */
export type Post = (body: Buffer, done: (failure: DialFailure | null) => void) => void;

export interface OutgoingChannelEvents {
  /** Handed to a socket. */
  onSent(frames: readonly OutgoingFrame[]): void;
  /** Frames will not arrive (those given, and perhaps some that were sent before). */
  onDropped(frames: readonly OutgoingFrame[], reason: string): void;
  /** The POST way works again or not any more. */
  onPosted(failure: DialFailure | null): void;
}

export interface OutgoingChannelOptions {
  readonly limits: TransportLimits;
  /** Null when the peer's address is unknown: then it is reached by the stream that it opens, or not at all. */
  readonly post: () => Post | null;
  readonly events: OutgoingChannelEvents;
}

export class OutgoingChannel {
  readonly #options: OutgoingChannelOptions;
  readonly #outbox: Outbox;
  /** While it waits, the peer is rested. */
  readonly #backoff: Backoff;
  #stream: ServerResponse | null = null;
  /** Link heartbeats since the stream's socket took no more; null while it takes what it is given. */
  #blockedTicks: number | null = null;
  #isPosting = false;
  #isFlushPlanned = false;
  #isStopped = false;

  constructor(options: OutgoingChannelOptions) {
    const { limits } = options;
    this.#options = options;
    this.#outbox = new Outbox({ messagesMax: limits.queueMessagesMax, bytesMax: limits.queueBytesMax });
    this.#backoff = new Backoff(limits);
  }

  get hasStream(): boolean {
    return this.#stream !== null;
  }

  get waiting(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#outbox.messages, bytes: this.#outbox.bytes };
  }

  /** Sends at the end of this turn, together with whatever else is sent until then. */
  send(frame: OutgoingFrame): void {
    if (this.#isStopped) return;
    const way = this.#way();
    if (way === "none" || way === "resting") {
      const reason = way === "none" ? "its address is unknown" : "it cannot be reached";
      return this.#options.events.onDropped([frame], reason);
    }
    const dropped = this.#outbox.add(frame);
    if (dropped.length > 0) this.#options.events.onDropped(dropped, "the queue to it is full");
    this.#planFlush();
  }

  /** The peer has opened a stream; an older one ends. */
  attach(stream: ServerResponse): void {
    if (this.#stream !== null) this.#options.events.onDropped([], "it opened another stream");
    this.#endStream();
    this.#stream = stream;
    this.#blockedTicks = null;
    this.#backoff.stop();
    // Writing to a stream that has just broken is no error here: its "close" follows.
    stream.on("error", () => {});
    stream.on("drain", () => {
      if (this.#stream !== stream) return;
      this.#blockedTicks = null;
      this.#flush();
    });
    stream.on("close", () => {
      if (this.#stream === stream) this.#loseStream("the stream to it broke");
    });
    this.#planFlush();
  }

  /** The peer has just shown that it lives: do not rest for long. */
  wake(): void {
    this.#backoff.cutShort();
  }

  /** Once per link heartbeat: keeps the stream alive, and ends one that takes nothing any more. */
  tick(heartbeat: () => Buffer): void {
    if (this.#stream === null) return;
    if (this.#blockedTicks === null) return this.#write(this.#stream, heartbeat());
    this.#blockedTicks += 1;
    if (this.#blockedTicks <= this.#options.limits.silenceHeartbeatsMax) return;
    this.#stream.destroy();
    this.#loseStream("it stopped reading");
  }

  stop(): void {
    this.#isStopped = true;
    this.#backoff.stop();
    this.#endStream();
    this.#outbox.clear();
  }

  #way(): "stream" | "post" | "resting" | "none" {
    if (this.#stream !== null) return "stream";
    if (this.#backoff.isWaiting) return "resting";
    return this.#options.post() === null ? "none" : "post";
  }

  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#stream !== null) return this.#flushToStream(this.#stream);
    if (!this.#isPosting && !this.#backoff.isWaiting && !this.#isStopped) this.#flushByPost();
  }

  #flushToStream(stream: ServerResponse): void {
    while (this.#blockedTicks === null) {
      const frames = this.#outbox.take(this.#options.limits.writeBytesMax);
      if (frames.length === 0) return;
      this.#write(stream, joined(frames));
      this.#options.events.onSent(frames);
    }
  }

  #write(stream: ServerResponse, bytes: Buffer): void {
    if (!stream.write(bytes)) this.#blockedTicks = 0;
  }

  #flushByPost(): void {
    const post = this.#options.post();
    const frames = this.#outbox.take(this.#options.limits.writeBytesMax);
    if (post === null || frames.length === 0) return;
    this.#isPosting = true;
    this.#postOnce(post, frames, (failure) => {
      this.#isPosting = false;
      if (this.#isStopped) return;
      this.#options.events.onPosted(failure);
      if (failure === null) {
        this.#backoff.reset();
        this.#options.events.onSent(frames);
      } else {
        this.#options.events.onDropped(frames, failure.reason);
        this.#beginRest();
      }
      this.#flush();
    });
  }

  /** Messages may arrive twice, so one that met a connection which the peer was just closing is simply posted again. */
  #postOnce(post: Post, frames: readonly OutgoingFrame[], done: (failure: DialFailure | null) => void): void {
    const body = joined(frames);
    post(body, (failure) => {
      if (failure?.kind === "broken" && failure.reusedConnection) post(body, done);
      else done(failure);
    });
  }

  #beginRest(): void {
    // With a stream there is no need for POST, nor to rest.
    if (this.#stream !== null) return;
    const waiting = this.#outbox.clear();
    if (waiting.length > 0) this.#options.events.onDropped(waiting, "it cannot be reached");
    this.#backoff.wait(() => {});
  }

  #loseStream(reason: string): void {
    this.#stream = null;
    this.#blockedTicks = null;
    this.#options.events.onDropped(this.#outbox.clear(), reason);
  }

  #endStream(): void {
    const stream = this.#stream;
    const isBlocked = this.#blockedTicks !== null;
    this.#stream = null;
    this.#blockedTicks = null;
    // The end of a stream waits behind what was written; one that takes nothing would never see it.
    if (isBlocked) stream?.destroy();
    else stream?.end();
  }
}

function joined(frames: readonly OutgoingFrame[]): Buffer {
  const [first] = frames;
  if (first !== undefined && frames.length === 1) return first.bytes;
  return Buffer.concat(frames.map((frame) => frame.bytes));
}
