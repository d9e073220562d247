/**
 * Requests that a client pipelines on one connection: those that may change something are carried out alone and in order, because the client
 * means each to see what the one before has done (RFC 9112 §9.3.2). Reads between two of them run side by side.
 */

import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Exchange } from "./exchange.ts";

interface Line {
  /** The newest exchange of the connection; answers leave in order, so when it is over all are. */
  newest: ServerResponse;
  newestUnsafe: ServerResponse | null;
}

export class InOrder {
  readonly #lines = new WeakMap<Duplex, Line>();

  /** The newest exchange of the connection, while it is not over. */
  newest(socket: Duplex): ServerResponse | null {
    const newest = this.#lines.get(socket)?.newest ?? null;
    return newest === null || newest.writableFinished || newest.closed ? null : newest;
  }

  /**
   * Calls `next` when the exchange may be carried out: at once, unless its connection has an earlier one that it must wait for; never when the
   * connection breaks before that.
   */
  enter({ request, response, isRead }: Exchange, next: () => void): void {
    const line = this.#lines.get(request.socket) ?? null;
    const awaited = isRead ? (line?.newestUnsafe ?? null) : (line?.newest ?? null);
    const newestUnsafe = isRead ? (line?.newestUnsafe ?? null) : response;
    this.#lines.set(request.socket, { newest: response, newestUnsafe });
    if (awaited === null || awaited.writableFinished) return next();
    // Any number may wait for the same one.
    awaited.setMaxListeners(0);
    // Without an answer it closes when its connection breaks, while it may still be carried out: what stands behind it must not overtake it.
    awaited.once("close", () => awaited.writableFinished && next());
  }
}
