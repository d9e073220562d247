/**
 * The route by which a peer pulls a snapshot: chunks as frames, from the position that it asks for, at a bounded rate. A frame without a
 * body ends the whole; an answer that ends without it was cut off.
 */

import type { PeerHandler } from "../replica/ports.ts";
import type { Exchange } from "./exchange.ts";
import { encodeFrame } from "./frames.ts";
import type { Refusal } from "./handshake.ts";
import type { PeerRoute } from "./peer-server.ts";
import type { TokenBucket } from "./token-bucket.ts";
import type { ServerResponse } from "node:http";

export const snapshotPath = "/peer/snapshot";

export interface SnapshotRouteOptions {
  readonly bucket: TokenBucket;
  /** Null while this member answers nothing. */
  readonly handler: () => PeerHandler | null;
}

export function snapshotRoute({ bucket, handler }: SnapshotRouteOptions): PeerRoute {
  return {
    method: "GET",
    path: snapshotPath,
    sameCluster: true,
    handle: (exchange) => {
      const id = exchange.query.get("id") ?? "";
      const position = readPosition(exchange.query.get("position"));
      const current = handler();
      if (position === null) return exchange.refuse(noPosition);
      if (current === null) return exchange.refuse(noSnapshot);
      new SnapshotSender(exchange, current, bucket, id).sendFrom(position);
    },
  };
}

function readPosition(text: string | null): number | null {
  const position = /^\d{1,15}$/.test(text ?? "") ? Number(text) : null;
  return Number.isSafeInteger(position) ? position : null;
}

const noPosition: Refusal = {
  status: 400,
  code: "malformed",
  detail: "a snapshot is asked for from a position: 0, or the number of chunks that have arrived",
};
const noSnapshot: Refusal = {
  status: 404,
  code: "no_such_snapshot",
  detail: "it does not offer that snapshot any more",
};

class SnapshotSender {
  readonly #exchange: Exchange;
  readonly #handler: PeerHandler;
  readonly #bucket: TokenBucket;
  readonly #id: string;
  #response: ServerResponse | null = null;

  constructor(exchange: Exchange, handler: PeerHandler, bucket: TokenBucket, id: string) {
    this.#exchange = exchange;
    this.#handler = handler;
    this.#bucket = bucket;
    this.#id = id;
  }

  sendFrom(position: number): void {
    if (this.#exchange.isAbandoned) return;
    this.#handler.readSnapshot(this.#id, position, (chunk) => {
      if (chunk === undefined) return this.#breakOff();
      // The head is sent once something is known to follow, so that a snapshot which is gone is refused and not cut off.
      this.#response ??= this.#exchange.begin();
      if (chunk === null) return void this.#response.end(encodeFrame(new Uint8Array()));
      this.#bucket.take(chunk.byteLength, () => this.#write(chunk, position + 1));
    });
  }

  /** The next chunk is read when the socket has room for it. */
  #write(chunk: Uint8Array, next: number): void {
    const response = this.#response;
    if (response === null || this.#exchange.isAbandoned) return;
    if (response.write(encodeFrame(chunk))) this.sendFrom(next);
    else response.once("drain", () => this.sendFrom(next));
  }

  #breakOff(): void {
    if (this.#response === null) this.#exchange.refuse(noSnapshot);
    else this.#response.destroy();
  }
}
