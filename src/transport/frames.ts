/**
 * Cuts a stream of bytes into frames: `u32 length | u32 CRC-32 of the body | body`, both numbers big-endian.
 *
 * What a body means is not known here. The checksum is for what TCP's lets through and for our own mistakes; against an enemy it does nothing.
 */

import { crc32 } from "node:zlib";
import { PeerProtocolError } from "./protocol-error.ts";

export const frameHeaderBytes = 8;

/** A frame with its own memory. */
export function encodeFrame(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + body.byteLength);
  frame.writeUInt32BE(body.byteLength, 0);
  frame.writeUInt32BE(crc32(body), 4);
  frame.set(body, frameHeaderBytes);
  return frame;
}

/** Takes bytes as they arrive and gives back whole bodies. After an error it must not be used again. */
export class FrameDecoder {
  readonly #bodyBytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The length of the body whose header was read; null while the header is incomplete. */
  #bodyBytes: number | null = null;

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Whether bytes of an incomplete frame are held: a stream must not end now. */
  get isWithinFrame(): boolean {
    return this.#bytes > 0;
  }

  /**
   * Hands over the bodies that `chunk` completes, in order; each is valid until the chunk's memory is reused. Throws PeerProtocolError at
   * the first bad frame, when those before it have been handed over, and whatever `take` throws.
   */
  push(chunk: Buffer, take: (body: Buffer) => void): void {
    this.#parts.push(chunk);
    this.#bytes += chunk.byteLength;
    for (let body = this.#take(); body !== null; body = this.#take()) take(body);
  }

  #take(): Buffer | null {
    if (this.#bytes < frameHeaderBytes) return null;
    this.#bodyBytes ??= this.#readLength();
    const frameBytes = frameHeaderBytes + this.#bodyBytes;
    if (this.#bytes < frameBytes) return null;

    const joined = this.#join();
    const body = joined.subarray(frameHeaderBytes, frameBytes);
    if (crc32(body) !== joined.readUInt32BE(4)) {
      throw new PeerProtocolError(`a frame of ${body.byteLength} bytes does not match its checksum`);
    }
    this.#bytes -= frameBytes;
    this.#parts = this.#bytes === 0 ? [] : [joined.subarray(frameBytes)];
    this.#bodyBytes = null;
    return body;
  }

  #readLength(): number {
    const length = this.#join().readUInt32BE(0);
    if (length > this.#bodyBytesMax) {
      throw new PeerProtocolError(`a frame of ${length} bytes is over the limit of ${this.#bodyBytesMax}`);
    }
    return length;
  }

  /** One buffer of all parts. Called once for a header and once for a body, so a large frame in many chunks is copied once. */
  #join(): Buffer {
    const first = this.#parts[0];
    if (first !== undefined && this.#parts.length === 1) return first;
    const joined = Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [joined];
    return joined;
  }
}

/** All frames of a complete byte string. Throws PeerProtocolError. */
export function decodeFrames(bytes: Buffer, bodyBytesMax: number): readonly Buffer[] {
  const decoder = new FrameDecoder(bodyBytesMax);
  const bodies: Buffer[] = [];
  decoder.push(bytes, (body) => bodies.push(body));
  if (decoder.isWithinFrame) throw new PeerProtocolError("the bytes end within a frame");
  return bodies;
}
