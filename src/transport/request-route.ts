/** The route for requests outside of Raft. */

import type { PeerHandler } from "../replica/ports.ts";
import type { Exchange } from "./exchange.ts";
import { frameHeaderBytes } from "./frames.ts";
import type { TransportLimits } from "./limits.ts";
import type { PeerRoute } from "./peer-server.ts";
import { PeerProtocolError } from "./protocol-error.ts";
import { requestPath } from "./request-client.ts";
import { decodeRequest, encodeReply } from "./request-wire.ts";

export interface RequestRouteOptions {
  readonly limits: TransportLimits;
  /** Null while this member answers nothing. */
  readonly handler: () => PeerHandler | null;
}

export function requestRoute(options: RequestRouteOptions): PeerRoute {
  return {
    method: "POST",
    path: requestPath,
    sameCluster: true,
    handle: (exchange) => take(exchange, options),
  };
}

function take(exchange: Exchange, options: RequestRouteOptions): void {
  const { frameBytesMax, bodyTimeoutMs } = options.limits;
  exchange.readBody({ bytesMax: frameBytesMax + frameHeaderBytes, timeoutMs: bodyTimeoutMs }, (body) => {
    // A process that was paused finds old requests in its sockets, and behind each the end of the connection, if the asker has given up.
    // That end is read in the next turn of the loop, so the decision is made after it.
    setImmediate(() => {
      setImmediate(() => {
        if (!exchange.isAbandoned) answer(exchange, body, options);
      });
    });
  });
}

function answer(exchange: Exchange, body: Buffer, { limits, handler }: RequestRouteOptions): void {
  const current = handler();
  if (current === null) {
    return exchange.refuse({ status: 503, code: "not_ready", detail: "it is starting or stopping" });
  }
  try {
    const request = decodeRequest(body, limits.frameBytesMax);
    current.answer(exchange.asker.id, request, (reply) => {
      const bytes = encodeReply(reply);
      if (bytes.byteLength - frameHeaderBytes <= limits.frameBytesMax) exchange.end(bytes);
      else
        exchange.fail(`its reply of ${bytes.byteLength} bytes is over the limit of ${limits.frameBytesMax}`);
    });
  } catch (error) {
    if (!(error instanceof PeerProtocolError)) throw error;
    exchange.refuse({
      status: 400,
      code: "malformed",
      detail: `the request cannot be read: ${error.message}`,
    });
  }
}
