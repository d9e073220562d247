/** One request of another member, and the ways to answer it. Every answer carries this member's handshake and proof. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Authenticator } from "./authenticator.ts";
import { readBody, type BodyFailure } from "./body.ts";
import { headerNames, readWord, type Handshake, type Identity, type Refusal } from "./handshake.ts";

export const blobType = "application/octet-stream";

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** Who asks: checked, and allowed to. */
  readonly asker: Handshake;
  readonly #headers: Record<string, string>;

  constructor(
    exchanged: { readonly request: IncomingMessage; readonly response: ServerResponse; readonly url: URL },
    asker: Handshake,
    self: Identity,
    authenticator: Authenticator,
  ) {
    this.request = exchanged.request;
    this.response = exchanged.response;
    this.query = exchanged.url.searchParams;
    this.asker = asker;
    const answerer: Handshake = { ...self, toId: asker.id, toIncarnation: asker.incarnation };
    const nonce = readWord(this.request.headers, headerNames.nonce) ?? "";
    this.#headers = authenticator.answerHeaders(answerer, nonce);
  }

  /** Whether the asker has given up. */
  get isAbandoned(): boolean {
    return this.request.socket.destroyed || this.request.socket.readableEnded || this.response.writableEnded;
  }

  /** Begins an answer whose body goes on and on. */
  begin(): ServerResponse {
    this.response.writeHead(200, { ...this.#headers, "content-type": blobType, "cache-control": "no-store" });
    this.response.flushHeaders();
    return this.response;
  }

  end(body: Uint8Array, contentType = blobType): void {
    if (this.isAbandoned) return;
    const headers = { ...this.#headers, "content-type": contentType, "content-length": body.byteLength };
    this.response.writeHead(200, headers).end(body);
  }

  endEmpty(): void {
    if (!this.isAbandoned) this.response.writeHead(204, this.#headers).end();
  }

  refuse(refusal: Refusal): void {
    if (!this.isAbandoned) refuse(this.response, refusal, this.#headers);
  }

  /** Handled, or partly handled, and without an answer: the asker must take it as unknown. */
  fail(detail: string): void {
    if (!this.isAbandoned) sendReason(this.response, { status: 500, code: "failed", detail }, this.#headers);
  }

  /** The whole body, or an answer that says what is wrong with it. */
  readBody(
    limits: { readonly bytesMax: number; readonly timeoutMs: number },
    take: (body: Buffer) => void,
  ): void {
    readBody(this.request, limits, (failure, body) => {
      if (failure === null) take(body);
      else this.refuse(bodyRefusal(failure, limits));
    });
  }
}

/** Nothing was done for this request. The connection is closed, since a body may still be on its way. */
export function refuse(
  response: ServerResponse,
  refusal: Refusal,
  headers: Record<string, string> = {},
): void {
  sendReason(response, refusal, headers);
}

function sendReason(
  response: ServerResponse,
  reason: { readonly status: number; readonly code: string; readonly detail: string },
  headers: Record<string, string>,
): void {
  const { status, code, detail } = reason;
  const body = JSON.stringify({ code, detail });
  response
    .writeHead(status, { ...headers, "content-type": "application/json", connection: "close" })
    .end(body);
}

function bodyRefusal(
  failure: BodyFailure,
  limits: { readonly bytesMax: number; readonly timeoutMs: number },
): Refusal {
  const details: Record<BodyFailure, string> = {
    tooLarge: `the body is over its limit of ${limits.bytesMax} bytes`,
    timeout: `the body did not arrive within ${limits.timeoutMs} ms`,
    broken: "the body broke off",
  };
  return { status: failure === "tooLarge" ? 413 : 400, code: "malformed", detail: details[failure] };
}
