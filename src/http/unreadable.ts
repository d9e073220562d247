/** Answers what cannot be parsed as HTTP. It never reaches the application, so the answer is written by hand, in the form of all others. */

import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../lib/errors.ts";
import { STATUS_CODES } from "../replica/node-http.ts";
import type { ServerState } from "./api.ts";
import { nextRequestId } from "./exchange.ts";
import { problemKinds } from "./problem.ts";
import { commonHeaders } from "./respond.ts";

export interface UnreadableError extends Error {
  readonly code?: string;
}

interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryable: boolean;
}

/** `before`: what the connection has asked and not been answered yet. Its end may be what cannot be read. */
export function refuseUnreadable(
  server: ServerState,
  error: UnreadableError,
  socket: Duplex,
  before: ServerResponse | null,
): void {
  // A request that came whole is carried out: its client would take this for the answer, and not_applied for its outcome.
  if (before?.req.complete === true && !before.headersSent) {
    // What follows is no more readable.
    socket.pause();
    before.once("close", () => {
      if (socket.writable) socket.end(refusal(server, error));
      socket.resume();
    });
    return;
  }
  // Part of an answer is on its way already, or the next one is due to an earlier request: this would garble it, or be taken for it.
  const isTaken = ("bytesWritten" in socket && socket.bytesWritten !== 0) || before?.socket === null;
  if (!socket.writable || isTaken) socket.destroy();
  else socket.end(refusal(server, error));
}

function refusal(server: ServerState, error: UnreadableError): string {
  const { status, code, detail, retryable } = refusalOf(error);
  const requestId = nextRequestId();
  const body = JSON.stringify({
    type: `/errors/${code}`,
    title: problemKinds[code].title,
    status,
    code,
    detail,
    retryable,
    outcome: "not_applied",
    requestId,
  });
  const headers = {
    ...commonHeaders(server, { requestId }),
    "Content-Type": "application/problem+json",
    "Content-Length": Buffer.byteLength(body),
    Connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${body}`;
}

function refusalOf({ code = "", message }: UnreadableError): Refusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return {
        status: 431,
        code: "too_large",
        detail: "The address and the headers together are too long.",
        retryable: false,
      };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return {
        status: 408,
        code: "invalid_argument",
        detail: "The request did not arrive in time.",
        retryable: true,
      };
    default:
      return {
        status: 400,
        code: "invalid_argument",
        detail: `The request is not HTTP that is read here: ${message}.`,
        retryable: false,
      };
  }
}
