/**
 * The frames that wait to be sent on one channel to one peer, bounded in number and bytes. When full, the oldest go: a newer message makes
 * an older one worthless more often than the other way round, and Raft repeats what matters.
 */

import type { MessageType } from "../raft/messages.ts";

export interface OutgoingFrame {
  readonly type: MessageType;
  readonly bytes: Buffer;
}

export class Outbox {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #frames: OutgoingFrame[] = [];
  #bytes = 0;

  constructor(bounds: { readonly messagesMax: number; readonly bytesMax: number }) {
    this.#messagesMax = bounds.messagesMax;
    this.#bytesMax = bounds.bytesMax;
  }

  get messages(): number {
    return this.#frames.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Returns what had to be dropped for it, oldest first; the new frame itself if it is larger than all the room. */
  add(frame: OutgoingFrame): readonly OutgoingFrame[] {
    this.#frames.push(frame);
    this.#bytes += frame.bytes.byteLength;
    const dropped: OutgoingFrame[] = [];
    while (this.messages > this.#messagesMax || this.#bytes > this.#bytesMax) dropped.push(this.#shift());
    return dropped;
  }

  /** Takes the oldest frames, together at most `bytesMax` (but at least one). Empty when nothing waits. */
  take(bytesMax: number): readonly OutgoingFrame[] {
    const taken: OutgoingFrame[] = [];
    let bytes = 0;
    while (this.messages > 0) {
      bytes += this.#frames[0]?.bytes.byteLength ?? 0;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(this.#shift());
    }
    return taken;
  }

  clear(): readonly OutgoingFrame[] {
    return this.take(Number.POSITIVE_INFINITY);
  }

  #shift(): OutgoingFrame {
    const frame = this.#frames.shift();
    if (frame === undefined) throw new Error("an empty outbox was asked for a frame");
    this.#bytes -= frame.bytes.byteLength;
    return frame;
  }
}
