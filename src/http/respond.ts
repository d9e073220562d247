/** Sends answers and problems, with the headers that every answer carries. */

import type { OutgoingHttpHeaders } from "node:http";
import type { RollcallError } from "../lib/errors.ts";
import { unknownStaleMs } from "../replica/member.ts";
import type { Answer } from "./answer.ts";
import type { ServerState } from "./api.ts";
import type { Exchange } from "./exchange.ts";
import { describeProblem } from "./problem.ts";

/** A client that does not take its answer within this time is cut off, or a few of them would hold all the memory. Milliseconds. */
const answerTakenWithinMs = 60_000;
/** What the kernel's socket buffer takes at once, so that there is nothing to wait for. */
const smallAnswerBytes = 64 * 1024;

export function respond(server: ServerState, exchange: Exchange, answer: Answer): void {
  const { response } = exchange;
  if (response.headersSent || response.destroyed) return;
  switch (answer.kind) {
    case "json":
      return end(server, exchange, answer.status, answer.headers, {
        mediaType: "application/json",
        bytes: JSON.stringify(answer.body),
      });
    case "bytes":
      return end(server, exchange, answer.status, answer.headers, answer);
    case "empty":
      return end(server, exchange, answer.status, answer.headers, null);
    case "stream":
      response.writeHead(200, {
        ...commonHeaders(server, exchange),
        ...answer.headers,
        "Content-Type": answer.mediaType,
      });
      if (exchange.request.method === "HEAD") response.end();
      else {
        // The client must see that the stream is open, also while there is nothing to say.
        response.flushHeaders();
        answer.open(response);
      }
      return;
  }
}

export function respondProblem(server: ServerState, exchange: Exchange, error: RollcallError): void {
  const problem = describeProblem(error, {
    requestId: exchange.requestId,
    isRead: exchange.isRead,
    onWatch: exchange.isWatch,
  });
  end(server, exchange, problem.status, problem.headers, {
    mediaType: "application/problem+json",
    // Read by people, often in a terminal.
    bytes: `${JSON.stringify(problem.body, null, 2)}\n`,
  });
}

function end(
  server: ServerState,
  exchange: Exchange,
  status: number,
  headers: OutgoingHttpHeaders,
  // Node sends a text together with the headers in one write, and bytes in a second one.
  content: { readonly mediaType: string; readonly bytes: Uint8Array | string } | null,
): void {
  const { response } = exchange;
  if (response.headersSent || response.destroyed) return;
  const length = content === null ? 0 : Buffer.byteLength(content.bytes);
  response.writeHead(status, {
    ...commonHeaders(server, exchange),
    ...headers,
    ...(content === null ? {} : { "Content-Type": content.mediaType, "Content-Length": length }),
  });
  response.end(content?.bytes);
  if (length > smallAnswerBytes) cutOffUnlessTaken(exchange);
}

function cutOffUnlessTaken({ response }: Exchange): void {
  const timer = setTimeout(() => response.destroy(), answerTakenWithinMs);
  timer.unref();
  response.once("close", () => clearTimeout(timer));
}

/** As the member stands when the answer leaves it: a write's own revision is included. */
export function commonHeaders(
  server: ServerState,
  exchange: Pick<Exchange, "requestId">,
): OutgoingHttpHeaders {
  const member = server.api?.member;
  return {
    "Rollcall-Request-Id": exchange.requestId,
    "Rollcall-Member": member?.id ?? server.memberId,
    "Rollcall-Leader": member?.leader() ?? "",
    "Rollcall-Term": member?.term() ?? 0,
    "Rollcall-Revision": member?.registry.revision ?? 0,
    "Rollcall-Stale-Ms": member?.staleMs() ?? unknownStaleMs,
    "Cache-Control": "no-store",
    ...(server.isStopping ? { Connection: "close" } : {}),
  };
}
