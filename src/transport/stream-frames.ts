/**
 * What a frame between members says: a Raft message, or a link heartbeat that keeps a stream alive and measures the way there and back.
 */

import { messageFromArray, messageToArray } from "../raft/wire.ts";
import type { Message } from "../raft/messages.ts";
import { WireError } from "../raft/wire-reader.ts";
import { decodeBody, encodeBody } from "./codec.ts";
import { encodeFrame } from "./frames.ts";
import { PeerProtocolError } from "./protocol-error.ts";

/** Times are the monotonic milliseconds of whoever wrote them, and mean nothing to anybody else. */
export interface LinkHeartbeat {
  /** When this was sent, by the sender's clock. */
  readonly sentAt: number;
  /** The `sentAt` of the last link heartbeat that the sender has received, and for how long it held it; null before any. */
  readonly echo: { readonly sentAt: number; readonly heldMs: number } | null;
}

export type StreamFrame =
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "linkHeartbeat"; readonly heartbeat: LinkHeartbeat };

const heartbeatTag = 0;
const messageTag = 1;

export function messageFrame(message: Message): Buffer {
  return encodeFrame(encodeBody([messageTag, messageToArray(message)]));
}

export function linkHeartbeatFrame({ sentAt, echo }: LinkHeartbeat): Buffer {
  return encodeFrame(encodeBody([heartbeatTag, sentAt, echo?.sentAt ?? null, echo?.heldMs ?? null]));
}

/** Throws PeerProtocolError. */
export function readStreamFrame(body: Uint8Array): StreamFrame {
  const value = decodeBody(body);
  if (!Array.isArray(value)) throw new PeerProtocolError("a frame is not an array");
  const [tag, first, second, third]: unknown[] = value;
  if (tag === messageTag) return { kind: "message", message: readMessage(first) };
  if (tag === heartbeatTag)
    return { kind: "linkHeartbeat", heartbeat: readLinkHeartbeat(first, second, third) };
  throw new PeerProtocolError("a frame is neither a message nor a link heartbeat");
}

function readMessage(value: unknown): Message {
  try {
    return messageFromArray(value);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new PeerProtocolError(cause.message, cause);
  }
}

function readLinkHeartbeat(sentAt: unknown, echoSentAt: unknown, heldMs: unknown): LinkHeartbeat {
  if (typeof sentAt !== "number") throw new PeerProtocolError("a link heartbeat has no time");
  const echo =
    typeof echoSentAt === "number" && typeof heldMs === "number" ? { sentAt: echoSentAt, heldMs } : null;
  return { sentAt, echo };
}
