/**
 * A served member for tests of the API, and requests to it. Every answer is held against the schema that /openapi.json shows for it:
 * an answer that is not as documented fails the test that asked.
 */

import { request, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from "node:http";
import { connect } from "node:net";
import { onTestFinished } from "vitest";
import { problem as problemSchema } from "../../src/http/answer-schemas.ts";
import { endpoints, pathsOf } from "../../src/http/endpoints.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../../src/http/http-server.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { LocalMember } from "../support/local-member.ts";
import { seededRandom } from "../support/random.ts";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test looks into it freely; its shape has been checked already
  readonly json: any;
}

export interface Ask {
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array;
  readonly headers?: Record<string, string>;
}

export interface Served {
  readonly member: LocalMember;
  readonly server: HttpServer;
  readonly port: number;
  readonly url: string;
  readonly ask: (method: string, target: string, options?: Ask) => Promise<Reply>;
  readonly get: (target: string, headers?: Record<string, string>) => Promise<Reply>;
  /** Registers an instance of service web, and gives the answer. */
  readonly register: (id: string, changes?: object, service?: string) => Promise<Reply>;
  /** Sends bytes and gives what comes back until the server closes. */
  readonly raw: (bytes: string) => Promise<string>;
}

export async function serve(options: Partial<HttpServerOptions> = {}): Promise<Served> {
  const member = new LocalMember();
  const served = await serveNothing(options);
  served.server.setMember(member);
  return { ...served, member };
}

/** A server without a member. */
export async function serveNothing(options: Partial<HttpServerOptions> = {}): Promise<Served> {
  const server = createHttpServer({
    listen: { host: "127.0.0.1", port: 0 },
    logger: silentLogger,
    metrics: new Metrics({ member: "n1", version: "0.0.0-test" }),
    memberId: "n1",
    random: seededRandom(1),
    // The machine that runs the tests may be as busy as it likes.
    pressureLimits: { loopDelayMs: Number.POSITIVE_INFINITY, underWay: Number.POSITIVE_INFINITY },
    ...options,
    timeouts: { headersMs: 120_000, bodyMs: 120_000, ...options.timeouts },
  });
  const { port, url } = await server.start();
  onTestFinished(() => server.stop(0));
  const ask: Served["ask"] = (method, target, asked = {}) => send(port, method, target, asked);
  return {
    member: new LocalMember(),
    server,
    port,
    url,
    ask,
    get: (target, headers = {}) => ask("GET", target, { headers }),
    register: (id, changes = {}, service = "web") =>
      ask("PUT", `/v1/services/${service}/instances/${id}`, {
        body: { host: "10.0.0.1", port: 8080, ...changes },
      }),
    raw: (bytes) => sendRaw(port, bytes),
  };
}

async function send(
  port: number,
  method: string,
  target: string,
  { body, raw, headers = {} }: Ask,
): Promise<Reply> {
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const type = content === undefined ? {} : { "Content-Type": "application/json" };
  const isChunked = headers["Transfer-Encoding"] !== undefined;
  const length =
    content === undefined || isChunked ? {} : { "Content-Length": String(Buffer.byteLength(content)) };
  const response = await open(
    { port, method, path: target, headers: { ...length, ...type, ...headers } },
    content,
  );
  const reply = await readReply(response);
  checkShape(method, target, reply);
  return reply;
}

export function open(options: RequestOptions, content?: string | Uint8Array): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", agent: false, ...options }, resolve);
    outgoing.once("error", reject);
    outgoing.end(content);
  });
}

async function readReply(response: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const isJson = /json/.test(response.headers["content-type"] ?? "");
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json: isJson && text !== "" ? (JSON.parse(text) as unknown) : undefined,
  };
}

function checkShape(method: string, target: string, { status, headers, json, text }: Reply): void {
  if (text === "") return;
  if (headers["content-type"]?.startsWith("application/problem+json") === true) {
    problemSchema.parse(json);
    return;
  }
  const path = target.split("?")[0] ?? "";
  const endpoint = endpoints.find(
    (each) => each.method === method && pathsOf(each).some((template) => asPattern(template).test(path)),
  );
  const answer = endpoint?.answers.find((possible) => possible.status === status);
  if (answer === undefined)
    throw new Error(`${method} ${target} answered ${status}, which is not documented`);
  answer.schema?.parse(json);
}

function asPattern(template: string): RegExp {
  return new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`);
}

function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("error", reject);
    socket.once("close", () => resolve(Buffer.concat(chunks).toString()));
    socket.write(bytes);
  });
}

/** Calls until it gives something. Waits for the loop to turn between, not for time. */
export async function until<T>(
  look: () => T | null | undefined | false | "" | Promise<T | null | undefined | false | "">,
): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false && found !== "") return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
