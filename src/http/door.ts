/**
 * The first thing that happens to a request: it is let in to the application, or turned away at once. Nothing but its first line has been
 * looked at, and an answer is written with as little work as possible, because under overload most requests end here.
 */

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Admission } from "./admission.ts";
import type { ServerState } from "./api.ts";
import type { Backpressure } from "./backpressure.ts";
import { cutOffAfter } from "./body.ts";
import { openExchange } from "./exchange.ts";
import { loadClassOf } from "./load-class.ts";
import type { LoadClass } from "./policy.ts";
import type { Pressure } from "./pressure.ts";
import { problemKinds } from "./problem.ts";
import { commonHeaders } from "./respond.ts";

/** What stands in every refusal. */
const { title, status, retryable } = problemKinds.overloaded;
const beforeOutcome = JSON.stringify({
  type: "/errors/overloaded",
  title,
  status,
  code: "overloaded",
  detail: "This member has more to do than it can. Ask another one, or try again after a while.",
  retryable,
}).slice(0, -1);

interface DoorOptions {
  readonly server: ServerState;
  readonly admission: Admission;
  readonly pressure: Pressure;
  readonly backpressure: Backpressure;
  /** How long a body may take to arrive, milliseconds. */
  readonly bodyMs: number;
  readonly application: (request: IncomingMessage, response: ServerResponse) => void;
}

export function createDoor(
  options: DoorOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { admission, pressure, backpressure, application } = options;
  return (request, response) => {
    const loadClass = loadClassOf(request.method ?? "", request.url ?? "");
    if (loadClass === "vital") backpressure.vital(request.socket);
    pressure.look();
    const leave = admission.enter(loadClass, pressure.level);
    if (leave === null) return turnAway(options, loadClass, request, response);
    response.once("close", leave);
    const exchange = openExchange(request, response, leave);
    // Express keeps what it finds there.
    Object.assign(response, { locals: { exchange } });
    application(request, response);
  };
}

function turnAway(
  { server, backpressure, bodyMs }: DoorOptions,
  loadClass: LoadClass,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  server.metrics.rejected(loadClass);
  const exchange = openExchange(request, response, () => {});
  const waitMs = backpressure.drawWaitMs();
  const outcome = exchange.isRead ? "none" : "not_applied";
  // What is put in is a number and two plain words, all ASCII: as many bytes as characters.
  const body = `${beforeOutcome},"outcome":"${outcome}","requestId":"${exchange.requestId}","retryAfterMs":${waitMs}}\n`;
  response.writeHead(
    status,
    flat(commonHeaders(server, exchange), [
      ["Content-Type", "application/problem+json"],
      ["Content-Length", String(body.length)],
      ["Retry-After", String(Math.ceil(waitMs / 1000))],
    ]),
  );
  response.once("close", () => {
    backpressure.refused(request.socket, waitMs);
    if (!request.complete) cutOffAfter(waitMs + bodyMs, request);
  });
  response.end(body);
}

/** Node writes a list of names and values as it is, which is quicker than an object that it has to keep. */
function flat(
  common: OutgoingHttpHeaders,
  more: readonly (readonly [name: string, value: string])[],
): string[] {
  const list: string[] = [];
  for (const name in common) list.push(name, String(common[name]));
  for (const [name, value] of more) list.push(name, value);
  return list;
}
