/**
 * Asks another member something over HTTP: handshake and proof out, answer's head checked, and the one place that decides what a failure
 * means. Bodies of answers are the caller's.
 */

import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import { request as httpRequest } from "../replica/node-http.ts";
import type { Authenticator } from "./authenticator.ts";
import { readBody } from "./body.ts";
import {
  checkAnswerer,
  headerNames,
  readHandshake,
  type Expected,
  type Handshake,
  type Identity,
} from "./handshake.ts";
import type { Resolver } from "./resolver.ts";

/** Whom to ask, and where. */
export interface DialTarget extends Expected {
  /** Such as http://10.0.0.7:7501. */
  readonly url: string;
}

export interface Question {
  readonly target: DialTarget;
  readonly method: "GET" | "POST";
  /** With the query. */
  readonly path: string;
  readonly body: Uint8Array | null;
  readonly agent: Agent;
  /** Whether the answerer must belong to this member's cluster. */
  readonly sameCluster: boolean;
  /** From now to the head of the answer, milliseconds. */
  readonly timeoutMs: number;
}

export interface DialFailure {
  /**
   * `unreached`: never connected, so the question has no effect. `refused`: answered instead of handled, so no effect either.
   * `notReady`: the same, but a later try may succeed. `broken`: it was sent, and may have been handled. `distrusted`: answered by
   * somebody who is not the member that was meant, and who may have done anything with it.
   */
  readonly kind: "unreached" | "refused" | "notReady" | "broken" | "distrusted";
  /** Such as "n2 at 127.0.0.1:7502 cannot be reached: connection refused". */
  readonly reason: string;
  /** The address that was tried. */
  readonly url: string;
  /** The connection had served before: its other end may have closed it just now, and a second try is worth while. */
  readonly reusedConnection: boolean;
}

/** Exactly one of the two is called, once, and never within `ask`. */
export interface Answered {
  /** The head has been checked; the caller must consume or destroy the body. */
  onAnswer(answer: IncomingMessage, answerer: Handshake): void;
  onFailure(failure: DialFailure): void;
}

export interface Dialled {
  /** Gives up. Before an answer this fails the question with the reason; after, it cuts the body off. */
  cancel(reason: string): void;
}

const refusalBytesMax = 4096;
const refusalTimeoutMs = 1000;
/** Printable characters of a foreign reason that are repeated in ours. */
const reasonCharactersMax = 400;

export class Dialer {
  readonly #self: () => Identity;
  readonly #authenticator: Authenticator;
  readonly #resolver: Resolver;

  constructor(self: () => Identity, authenticator: Authenticator, resolver: Resolver) {
    this.#self = self;
    this.#authenticator = authenticator;
    this.#resolver = resolver;
  }

  ask(question: Question, answered: Answered): Dialled {
    const { target, method, path, body } = question;
    const address = parseAddress(target.url);
    if (address === null) {
      const reason = `${target.id} cannot be reached: its address ${JSON.stringify(target.url)} is not of the form http://HOST:PORT`;
      setImmediate(() =>
        answered.onFailure({ kind: "unreached", reason, url: target.url, reusedConnection: false }),
      );
      return { cancel: () => {} };
    }
    const handshake: Handshake = { ...this.#self(), toId: target.id, toIncarnation: target.incarnation };
    const headers: Record<string, string> = this.#authenticator.requestHeaders(handshake, method, path);
    const request = httpRequest({
      host: address.hostname,
      port: address.port,
      method,
      path,
      agent: question.agent,
      lookup: this.#resolver.lookup,
      headers: {
        ...headers,
        ...(body === null
          ? {}
          : { "content-type": "application/octet-stream", "content-length": body.byteLength }),
      },
    });
    const nonce = headers[headerNames.nonce] ?? "";
    const dialled = this.#listen(request, { question, address, nonce }, answered);
    request.end(body ?? undefined);
    return dialled;
  }

  #listen(
    request: ClientRequest,
    asked: { readonly question: Question; readonly address: Address; readonly nonce: string },
    answered: Answered,
  ): Dialled {
    const { question, address, nonce } = asked;
    const name = `${question.target.id} at ${address.text}`;
    let connected = false;
    let cancelled: string | null = null;
    let decided = false;

    const fail = (kind: DialFailure["kind"], reason: string): void => {
      if (decided) return;
      decided = true;
      clearTimeout(timer);
      if (kind === "unreached") this.#resolver.forget(address.hostname);
      answered.onFailure({ kind, reason, url: question.target.url, reusedConnection: request.reusedSocket });
    };
    const cancel = (reason: string): void => {
      cancelled ??= reason;
      request.destroy();
    };
    const { timeoutMs } = question;
    const timer = setTimeout(() => cancel(`no answer within ${Math.round(timeoutMs)} ms`), timeoutMs);

    request.on("socket", (socket) => {
      // A socket that is not connecting is one that served before.
      connected = !socket.connecting;
      if (socket.connecting) socket.once("connect", () => (connected = true));
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      const why = cancelled ?? describeError(error);
      if (connected) fail("broken", `the connection to ${name} broke: ${why}`);
      else fail("unreached", `${name} cannot be reached: ${why}`);
    });
    request.on("response", (answer) => {
      clearTimeout(timer);
      // Without a listener, a body that breaks off would be an uncaught error.
      answer.on("error", () => {});
      if (decided || cancelled !== null) return answer.destroy();
      const ok = answer.statusCode === 200 || answer.statusCode === 204;
      if (!ok) return this.#readRefusal(answer, name, fail);
      const checked = this.#checkHead(answer, question, nonce);
      if (typeof checked === "string") {
        answer.destroy();
        return fail("distrusted", `${name} is not the member that was meant: ${checked}`);
      }
      decided = true;
      answered.onAnswer(answer, checked);
    });
    request.on("close", () =>
      fail("broken", `the connection to ${name} broke: ${cancelled ?? "it was closed"}`),
    );
    return { cancel };
  }

  /** The answerer, or what is wrong with it. */
  #checkHead(answer: IncomingMessage, question: Question, nonce: string): Handshake | string {
    const answerer = readHandshake(answer.headers);
    if (answerer === null) return "whoever answered there is no member";
    if (!this.#authenticator.acceptsAnswer(answer.headers, answerer, nonce)) {
      return "it did not prove that it knows the peer secret: all members must have the same secret, or none";
    }
    const expected = { ...question.target, sameCluster: question.sameCluster };
    return checkAnswerer(answerer, this.#self(), expected) ?? answerer;
  }

  /** A 4xx, or a 503 of ours, is answered instead of handling. After any other status the question may have taken effect. */
  #readRefusal(
    answer: IncomingMessage,
    name: string,
    fail: (kind: DialFailure["kind"], reason: string) => void,
  ): void {
    const status = answer.statusCode ?? 0;
    readBody(answer, { bytesMax: refusalBytesMax, timeoutMs: refusalTimeoutMs }, (failure, body) => {
      if (failure !== null) answer.destroy();
      const detail = failure === null ? readDetail(body) : null;
      const told = detail ?? `status ${status}, without a reason`;
      if (status >= 400 && status < 500) fail("refused", `refused by ${name}: ${told}`);
      else if (status === 503 && detail !== null) fail("notReady", `refused by ${name}: ${told}`);
      else fail("broken", `${name} answered with an error: ${told}`);
    });
  }
}

interface Address {
  readonly hostname: string;
  readonly port: number;
  /** Host and port, for sentences. */
  readonly text: string;
}

function parseAddress(url: string): Address | null {
  if (!URL.canParse(url)) return null;
  const { protocol, hostname, port, host } = new URL(url);
  if (protocol !== "http:" || hostname === "") return null;
  return { hostname: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 80 : Number(port), text: host };
}

/** The reason in a refusal's body, made safe for a log line; null when there is none. */
function readDetail(body: Buffer): string | null {
  try {
    const parsed: unknown = JSON.parse(body.toString("utf8"));
    const detail = typeof parsed === "object" && parsed !== null && "detail" in parsed ? parsed.detail : null;
    return typeof detail === "string" ? detail.replace(/\p{Cc}/gu, " ").slice(0, reasonCharactersMax) : null;
  } catch {
    return null;
  }
}

const errorSentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "its host name is unknown",
  EAI_AGAIN: "its host name cannot be looked up",
  EHOSTUNREACH: "no route to its host",
  ENETUNREACH: "no route to its network",
  ETIMEDOUT: "no connection in time",
  EPIPE: "it was closed",
};

function describeError(error: NodeJS.ErrnoException): string {
  return errorSentences[error.code ?? ""] ?? error.message;
}
