/** The HTTP API as the commands use it: one request to the first of the given members that can take it. */

import { CommandFailure, exitCodeOf, exitCodes } from "./exit-codes.ts";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** The member's URL. */
  readonly server: string;
}

export interface ApiOptions {
  /** Client URLs of members, in the order in which they are tried. */
  readonly servers: readonly string[];
  readonly timeoutMs: number;
  readonly token: string | null;
}

interface Problem {
  readonly detail?: unknown;
  readonly title?: unknown;
  readonly outcome?: unknown;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** Refusals by a member that another one may not repeat; the write has not been applied. */
const elsewhere = new Set([429, 503]);

export class Api {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  get<T>(path: string): Promise<T> {
    return this.#succeed<T>("GET", path);
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed<T>("PUT", path, body);
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.#succeed<T>("POST", path, body);
  }

  delete<T>(path: string): Promise<T> {
    return this.#succeed<T>("DELETE", path);
  }

  /** The body of a long answer, as it arrives, from the first member that gives it. Only its beginning is bounded in time. */
  async download(path: string): Promise<AsyncIterable<Uint8Array>> {
    const { servers, token, timeoutMs } = this.#options;
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const unanswered: string[] = [];
    for (const server of servers) {
      const tooLate = new AbortController();
      const timer = setTimeout(() => tooLate.abort(), timeoutMs);
      try {
        const response = await fetch(new URL(path, server), { headers, signal: tooLate.signal });
        if (response.ok) return bytesOf(response);
        const answer = { status: response.status, body: parse(await response.text()), server };
        if (!elsewhere.has(answer.status)) throw failureOf(answer);
        unanswered.push(`${server}: ${response.status}`);
      } catch (error) {
        if (error instanceof CommandFailure) throw error;
        unanswered.push(`${server}: ${reasonOf(error).words}`);
      } finally {
        clearTimeout(timer);
      }
    }
    throw new CommandFailure(exitCodes.unavailable, `No member answers (${unanswered.join("; ")}).`);
  }

  /** Any answer, failures included; null when this server does not answer. */
  async probe(server: string, path: string): Promise<Answer | null> {
    try {
      return await this.#request(server, "GET", path);
    } catch {
      return null;
    }
  }

  async #succeed<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.#firstAnswer(method, path, body);
    if (answer.status >= 200 && answer.status < 300) return answer.body as T;
    throw failureOf(answer);
  }

  async #firstAnswer(method: string, path: string, body: unknown): Promise<Answer> {
    const { servers } = this.#options;
    const unanswered: string[] = [];
    let refusal: Answer | null = null;
    for (const server of servers) {
      try {
        const answer = await this.#request(server, method, path, body);
        if (!elsewhere.has(answer.status)) return answer;
        refusal = answer;
      } catch (error) {
        const reason = reasonOf(error);
        unanswered.push(`${server}: ${reason.words}`);
        // It may have arrived: asking another member could do it twice.
        if (reason.isSent && method !== "GET") {
          throw new CommandFailure(
            exitCodes.unknown,
            `${method} ${path} may have taken effect (${unanswered.join("; ")}).`,
          );
        }
      }
    }
    if (refusal !== null) return refusal;
    throw new CommandFailure(
      exitCodes.unavailable,
      `No member answers (${unanswered.join("; ")}). Is it running? --server URL says where to ask.`,
    );
  }

  async #request(server: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const { token, timeoutMs } = this.#options;
    const headers: Record<string, string> = { accept: "application/json" };
    if (token !== null) headers["authorization"] = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(new URL(path, server), {
      method,
      headers,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: parse(await response.text()), server };
  }
}

/** Whoever holds this holds the answer. Node ends the body of one that nobody holds and nobody has begun to read, as if that were all of it. */
async function* bytesOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body !== null) yield* response.body;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function reasonOf(error: unknown): { readonly words: string; readonly isSent: boolean } {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  const code = cause?.code ?? "";
  const unreached = unreachedInWords[code];
  if (unreached !== undefined) return { words: unreached, isSent: false };
  if (cause?.message === "bad port") return { words: "no HTTP client may use that port", isSent: false };
  const isLate = error instanceof Error && error.name === "TimeoutError";
  return { words: isLate ? "no answer in time" : (cause?.message ?? String(error)), isSent: true };
}

/** The request never left this machine. */
const unreachedInWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "no such host",
  EHOSTUNREACH: "no way to that host",
  ENETUNREACH: "no way to that network",
};

function failureOf({ status, body, server }: Answer): CommandFailure {
  const problem: Problem = typeof body === "object" && body !== null ? body : {};
  const fields = (problem.errors ?? []).map((one) => `${one.pointer}: ${one.detail}`);
  const detail = typeof problem.detail === "string" ? problem.detail : `HTTP status ${status}`;
  const outcome = typeof problem.outcome === "string" ? problem.outcome : null;
  return new CommandFailure(exitCodeOf(status, outcome), [`${server}: ${detail}`, ...fields].join("\n  "));
}
