/** The routes by which messages come and go: a peer opens a stream for ours, or posts its own. */

import { channels, readChannel, type Channel } from "./channels.ts";
import type { Exchange } from "./exchange.ts";
import { decodeFrames, frameHeaderBytes } from "./frames.ts";
import { streamPath } from "./incoming-stream.ts";
import type { TransportLimits } from "./limits.ts";
import { messagesPath, type PeerLink } from "./peer-link.ts";
import type { PeerRoute } from "./peer-server.ts";
import { PeerProtocolError } from "./protocol-error.ts";

export interface MessageRoutesOptions {
  readonly limits: TransportLimits;
  /** The link to whoever asks; null while this member takes no messages, or none of strangers any more. */
  readonly link: (id: string) => PeerLink | null;
}

export function messageRoutes(options: MessageRoutesOptions): readonly PeerRoute[] {
  return [
    {
      method: "GET",
      path: streamPath,
      sameCluster: true,
      handle: (exchange) => openStream(exchange, options),
    },
    {
      method: "POST",
      path: messagesPath,
      sameCluster: true,
      handle: (exchange) => takeMessages(exchange, options),
    },
  ];
}

function openStream(exchange: Exchange, { link }: MessageRoutesOptions): void {
  const channel: Channel | null = readChannel(exchange.query.get("channel"));
  if (channel === null) {
    const detail = `a stream has one of the channels ${channels.join(", ")}`;
    return exchange.refuse({ status: 400, code: "malformed", detail });
  }
  const peer = link(exchange.asker.id);
  if (peer === null) return exchange.refuse(takesNone);
  peer.attach(channel, exchange.begin(), exchange.asker);
}

function takeMessages(exchange: Exchange, { limits, link }: MessageRoutesOptions): void {
  const bytesMax = limits.frameBytesMax + frameHeaderBytes;
  exchange.readBody({ bytesMax, timeoutMs: limits.bodyTimeoutMs }, (body) => {
    const peer = link(exchange.asker.id);
    if (peer === null) return exchange.refuse(takesNone);
    peer.peerIsAlive();
    try {
      for (const frame of decodeFrames(body, limits.frameBytesMax)) peer.receive(frame);
    } catch (error) {
      if (!(error instanceof PeerProtocolError)) throw error;
      return exchange.refuse({
        status: 400,
        code: "malformed",
        detail: `a message cannot be read: ${error.message}`,
      });
    }
    exchange.endEmpty();
  });
}

const takesNone = {
  status: 503,
  code: "not_ready",
  detail:
    "it takes no messages: it is starting or stopping, or too many members that it does not know are connected",
} as const;
