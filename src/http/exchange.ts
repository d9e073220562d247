/** One request and its response, from the first middleware to the last byte. */

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** In every answer and every log line about it. */
  readonly requestId: string;
  /** Monotonic. */
  readonly startedAtMs: number;
  /** The path's template once an endpoint was found; "other" until then. Never the path itself: metrics must not grow with names. */
  route: string;
  /** Nothing can have been written, so the outcome of a failure is `none`. */
  isRead: boolean;
  isWatch: boolean;
  /** Gives its place back to other requests: it will wait long, and is counted elsewhere. */
  readonly park: () => void;
}

/** Ids of one process share a prefix and count up: unique, short, and in order in a log. */
const prefix = randomBytes(5).toString("hex");
let opened = 0;

const clientsIdPattern = /^[A-Za-z0-9._-]{1,64}$/;

export function nextRequestId(): string {
  opened += 1;
  return `${prefix}-${opened.toString(36)}`;
}

export function openExchange(request: IncomingMessage, response: ServerResponse, park: () => void): Exchange {
  const given = request.headers["rollcall-request-id"];
  const isRead = request.method === "GET" || request.method === "HEAD";
  return {
    request,
    response,
    requestId: typeof given === "string" && clientsIdPattern.test(given) ? given : nextRequestId(),
    startedAtMs: performance.now(),
    route: "other",
    isRead,
    isWatch: false,
    park,
  };
}
