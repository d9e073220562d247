/**
 * One HTTP exchange with one member, over kept-alive connections of node:http.
 *
 * It knows nothing of the registry's answers, of other members or of retries. Every failure is a `TransportError` that says whether the
 * request can have reached the member.
 */

import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Clock } from "./clock.ts";

export interface TransportOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined;
  /** Sent in `User-Agent`, so that operators can see who asks. */
  readonly clientName: string;
  /** For https members: certificates in PEM. */
  readonly tls?: TlsOptions | undefined;
}

export interface TlsOptions {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

export interface Exchange {
  readonly server: string;
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** Path and query, from the slash on. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Until the whole answer is here; for a stream, until its headers are. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface StreamReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

/** An answer larger than this is refused rather than held in memory: room for a list of some 100,000 instances. */
export const answerBytesMax = 64 * 1024 * 1024;

export class TransportError extends Error {
  readonly kind: "unreachable" | "timeout" | "too_large";
  /** False when the connection was never made: then the request has had no effect. */
  readonly sent: boolean;

  constructor(kind: TransportError["kind"], message: string, sent: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TransportError";
    this.kind = kind;
    this.sent = sent;
  }
}

export class Transport {
  readonly #clock: Clock;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #http = new HttpAgent({ keepAlive: true });
  readonly #https: HttpsAgent;

  constructor(options: TransportOptions, clock: Clock) {
    this.#clock = clock;
    this.#https = new HttpsAgent({ keepAlive: true, ...options.tls });
    this.#headers = {
      accept: "application/json, application/problem+json",
      "user-agent": `rollcall-client (${options.clientName.replaceAll(/[^\x20-\x7e]/g, "?")})`,
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    };
  }

  /** Rejects with a TransportError, or with `signal.reason` if the caller gave up. Any status is a reply. */
  async request(exchange: Exchange): Promise<Reply> {
    const { reply, disarm } = await this.#open(exchange);
    try {
      return { status: reply.status, headers: reply.headers, body: await readText(reply.body) };
    } catch (error) {
      throw asTransportError(error, exchange, true);
    } finally {
      disarm();
    }
  }

  /** As `request`, but the body is read by the caller. The signal ends it at any time. */
  async stream(exchange: Exchange): Promise<StreamReply> {
    const { reply, disarm } = await this.#open(exchange);
    disarm();
    return reply;
  }

  /** Ends all connections, those in use included. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #open(exchange: Exchange): Promise<{ reply: StreamReply; disarm: () => void }> {
    const { server, method, path, signal } = exchange;
    const isSecure = server.startsWith("https:");
    const headers: Record<string, string> = { ...this.#headers, ...exchange.headers };
    if (exchange.body !== undefined) {
      headers["content-type"] ??= "application/json";
      headers["content-length"] = String(Buffer.byteLength(exchange.body));
    }
    return new Promise((resolve, reject) => {
      let sent = false;
      let body: IncomingMessage | undefined;
      const send = isSecure ? httpsRequest : httpRequest;
      const request = send(`${server}${path}`, {
        method,
        headers,
        agent: isSecure ? this.#https : this.#http,
        ...(signal === undefined ? {} : { signal }),
      });
      const disarm = this.#clock.after(exchange.timeoutMs, () => {
        const ms = Math.round(exchange.timeoutMs);
        const what = `${method} ${path} at ${server}: no ${body ? "complete " : ""}answer within ${ms} ms`;
        (body ?? request).destroy(new TransportError("timeout", what, sent));
      });
      request.once("socket", (socket) => {
        if (!socket.connecting) sent = true;
        else socket.once(isSecure ? "secureConnect" : "connect", () => (sent = true));
      });
      request.once("response", (response) => {
        body = response;
        resolve({ reply: { status: body.statusCode ?? 0, headers: body.headers, body }, disarm });
      });
      // Stays for the life of the request: a connection that breaks after the headers reports here as well as in the body.
      request.on("error", (error) => {
        disarm();
        reject(asTransportError(error, exchange, sent));
      });
      request.end(exchange.body);
    });
  }
}

function asTransportError(error: unknown, exchange: Exchange, sent: boolean): unknown {
  if (error instanceof TransportError) return error;
  if (exchange.signal?.aborted === true) return exchange.signal.reason;
  const { method, path, server } = exchange;
  const what = error instanceof Error ? error.message : String(error);
  return new TransportError("unreachable", `${method} ${path} at ${server}: ${what}`, sent, error);
}

async function readText(body: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) {
      const what = `the answer is larger than ${answerBytesMax} bytes; ask for less (limit=)`;
      throw new TransportError("too_large", what, true);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
