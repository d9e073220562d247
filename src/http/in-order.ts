/**
 * Requests that a client pipelines on one connection: those that may change something are carried out alone and in order, because the client
 * means each to see what the one before has done (RFC 9112 §9.3.2). Reads between two of them run side by side.
 */

import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Exchange } from "./exchange.ts";

interface Line {
  /** The newest exchange of the connection; answers leave in order, so when it is over all are. */
  newest: ServerResponse;
  newestUnsafe: ServerResponse | null;
}

export class InOrder {
  readonly #lines = new WeakMap<Socket, Line>();

  /** Calls `next` when the exchange may be carried out: at once, unless its connection has an earlier one that it must wait for. */
  enter({ request, response, isRead }: Exchange, next: () => void): void {
    const line = this.#lines.get(request.socket) ?? null;
    const awaited = isRead ? (line?.newestUnsafe ?? null) : (line?.newest ?? null);
    const newestUnsafe = isRead ? (line?.newestUnsafe ?? null) : response;
    this.#lines.set(request.socket, { newest: response, newestUnsafe });
    if (awaited === null || awaited.writableFinished || awaited.closed) next();
    else awaited.once("close", next);
  }
}
