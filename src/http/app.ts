/**
 * The Express application: what happens to a request, from the door to its answer.
 *
 * ```
 *   request
 *      │  1  door.ts      a request id and a place; or turned away, before anything more is read
 *      │  2  begin        metrics when it ends; after what its connection has asked before
 *      │  3  checkTarget  there is a Host, and the address is a plain path
 *      │  4  route        found in endpoints.ts, or 404, or 405 with Allow
 *      │  5  dispatch     the token; path and query, then the body, checked against the endpoint's schemas; the read level awaited
 *      │  6  handle       routes/*.ts: asks the member
 *      ▼  7  respond      the Rollcall-... headers as the member stands now, and the answer
 *   whatever is thrown on the way ends in  8  fail: a problem (problem.ts), with the same headers
 * ```
 */

import express, { type NextFunction, type Request, type Response } from "express";
import { RollcallError } from "../lib/errors.ts";
import type { Logger } from "../observability/logger.ts";
import type { ServerState } from "./api.ts";
import { ClientGone, cutOffAfter } from "./body.ts";
import { dispatch, servingApi, type PathParams } from "./dispatch.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpointsByPath } from "./endpoints.ts";
import type { Exchange } from "./exchange.ts";
import type { InOrder } from "./in-order.ts";
import { invalidArgument } from "./invalid.ts";
import { toRollcallError } from "./problem.ts";
import { respond, respondProblem } from "./respond.ts";

export interface AppOptions {
  readonly server: ServerState;
  readonly logger: Logger;
  readonly inOrder: InOrder;
  /** How long the rest of a body that nobody wants may take to arrive, milliseconds. */
  readonly bodyMs: number;
}

export function createApp(options: AppOptions): express.Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", false);
  app.enable("case sensitive routing");
  app.enable("strict routing");

  app.use(begin(options));
  app.use(checkHost);
  app.use(checkTarget);
  for (const [path, endpoints] of endpointsByPath()) route(app, path, endpoints, options);
  app.use(nothingHere(options));
  app.use(fail(options));
  return app;
}

/** Put there at the door. */
function exchangeOf(response: Response): Exchange {
  return response.locals["exchange"] as Exchange;
}

function begin({ server, inOrder, bodyMs }: AppOptions) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const exchange = exchangeOf(response);
    response.once("close", () => {
      server.metrics.httpRequest({
        route: exchange.route,
        method: request.method,
        status: response.statusCode,
        ms: performance.now() - exchange.startedAtMs,
      });
    });
    response.once("finish", () => {
      if (!request.complete) cutOffAfter(server.isStopping ? lastWordsMs : bodyMs, request);
    });
    inOrder.enter(exchange, next);
  };
}

/** While the member stops: time to read the end of an answer, such as a presence's goaway, and no more. Milliseconds. */
const lastWordsMs = 500;

/** RFC 9112, 3.2. */
function checkHost(request: Request, _response: Response, next: NextFunction): void {
  if (request.headers.host === undefined && request.httpVersion === "1.1")
    throw invalidArgument([{ pointer: "Host", detail: "is missing from the headers" }]);
  next();
}

/** Absolute addresses, as proxies get them, and `OPTIONS *` are not for us; an escape that cannot be decoded names nothing. */
function checkTarget(request: Request, _response: Response, next: NextFunction): void {
  const path = request.url.split("?", 1)[0] ?? "";
  if (!path.startsWith("/"))
    throw invalidArgument([
      { pointer: "path", detail: "must stand alone and begin with /, as /v1/services does" },
    ]);
  try {
    decodeURIComponent(path);
  } catch {
    throw invalidArgument([{ pointer: "path", detail: "is not percent-encoded UTF-8" }]);
  }
  next();
}

function route(
  app: express.Express,
  path: string,
  endpoints: readonly Endpoint[],
  { server }: AppOptions,
): void {
  const pattern = path.replaceAll(/\{(\w+)\}/g, ":$1");
  for (const endpoint of endpoints) {
    const method = endpoint.method.toLowerCase() as Lowercase<Endpoint["method"]>;
    app[method](pattern, async (request: Request, response: Response) => {
      const exchange = exchangeOf(response);
      exchange.route = endpoint.path;
      exchange.isWatch = endpoint.kind === "watch";
      respond(server, exchange, await dispatch(server, endpoint, exchange, request.params as PathParams));
    });
  }
  const allow = endpoints.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  app.all(pattern, (request: Request, response: Response) => {
    exchangeOf(response).route = endpoints[0]?.path ?? "other";
    response.setHeader("Allow", allow);
    throw new RollcallError(
      "method_not_allowed",
      `${request.method} is not a method of ${path}: it has ${allow}.`,
    );
  });
}

function nothingHere({ server }: AppOptions) {
  return (request: Request): void => {
    // Before a member runs nobody can say more about /v1 than that.
    if (request.path === "/v1" || request.path.startsWith("/v1/")) servingApi(server);
    const path = request.path.length > 200 ? `${request.path.slice(0, 200)}…` : request.path;
    throw new RollcallError("not_found", `There is nothing at ${path}. /docs shows every call.`);
  };
}

/** Express knows an error handler by its four parameters. */
function fail({ server, logger }: AppOptions) {
  return (thrown: unknown, request: Request, response: Response, _next: NextFunction): void => {
    const exchange = exchangeOf(response);
    if (thrown instanceof ClientGone) {
      response.destroy();
      return;
    }
    const error = toRollcallError(thrown);
    if (error.code === "internal") {
      const { requestId, route } = exchange;
      logger.error(
        { requestId, route, method: request.method, err: error.cause ?? error },
        "a request failed by a defect",
      );
    }
    if (response.headersSent) response.destroy();
    else respondProblem(server, exchange, error);
  };
}
