/**
 * One call to the cluster: asks a member, and when that fails in a way that passes, asks another, until the call's time or the retry budget is
 * used up.
 *
 * A repeated attempt is the same request with the same idempotency key, so that a write whose outcome was unknown takes effect once.
 */

import { fullJitter } from "./backoff.ts";
import { sleep, type Clock } from "./clock.ts";
import { errorFromAnswer, RegistryError } from "./errors.ts";
import type { Members } from "./members.ts";
import type { RetryBudget } from "./retry-budget.ts";
import { TransportError, type Exchange, type Reply, type Transport } from "./transport.ts";
import type { AnswerSource } from "./types.ts";

export interface Call {
  readonly method: Exchange["method"];
  /** Path without a query string, from the slash on. */
  readonly path: string;
  /** Empty, or with its question mark. */
  readonly query?: string | undefined;
  readonly body?: unknown;
  readonly idempotencyKey?: string | undefined;
  /** Bounds the call with all its attempts. */
  readonly timeoutMs?: number | undefined;
  /** Bounds one attempt, so that a member that hangs does not eat up the time for the others. */
  readonly attemptTimeoutMs?: number | undefined;
  /** How long the member has been asked to hold its answer back, on top of the above. */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
  readonly source: AnswerSource;
  /** By the client's clock: when the attempt that was answered was sent. */
  readonly sentAt: number;
  /** When the first attempt was sent. A lease that came with a repeated answer may count from here. */
  readonly firstSentAt: number;
}

export interface CallerOptions {
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number;
}

/** Waits between rounds over the members, milliseconds. */
const retryBounds = { firstMs: 100, maxMs: 2_000 };
/** The member is told to give up this much before we do, so that we hear its answer rather than guess at it. */
const memberShareOfTimeout = 0.9;

export class Caller {
  readonly #transport: Transport;
  readonly #members: Members;
  readonly #budget: RetryBudget;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #options: CallerOptions;

  constructor(parts: {
    readonly transport: Transport;
    readonly members: Members;
    readonly budget: RetryBudget;
    readonly clock: Clock;
    readonly random: () => number;
    readonly options: CallerOptions;
  }) {
    this.#transport = parts.transport;
    this.#members = parts.members;
    this.#budget = parts.budget;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#options = parts.options;
  }

  /**
   * Rejects with a RegistryError whose `outcome` counts all attempts, or with `signal.reason`.
   *
   * @typeParam Body What a successful answer holds, according to the API.
   */
  async call<Body>(call: Call): Promise<Answer<Body>> {
    const waitMs = call.waitMs ?? 0;
    const firstSentAt = this.#clock.now();
    const deadline = firstSentAt + (call.timeoutMs ?? this.#options.timeoutMs) + waitMs;
    const attemptMs = (call.attemptTimeoutMs ?? this.#options.attemptTimeoutMs) + waitMs;
    this.#budget.noteCall();
    let maybeApplied = false;
    let answered: RegistryError | undefined;
    for (let failures = 0; ;) {
      call.signal?.throwIfAborted();
      const server = this.#members.pick();
      const sentAt = this.#clock.now();
      const failure = await this.#attempt<Body>(call, server, Math.min(attemptMs, deadline - sentAt));
      if (!(failure instanceof RegistryError)) {
        this.#members.succeeded(server);
        return { ...failure, sentAt, firstSentAt };
      }
      if (!failure.retryable) throw failure;
      failures += 1;
      maybeApplied ||= failure.outcome === "unknown";
      if (failure.status !== null) answered = failure;
      // Too many requests is said to this client, and every member would say the same.
      if (failure.status !== 429) this.#members.failed(server);
      const pauseMs = this.#pauseMs(failure, failures);
      if (this.#clock.now() + pauseMs >= deadline || !this.#budget.take()) {
        // What a member said tells more than that the time was up in the middle of the last attempt.
        const told = answered ?? failure;
        throw maybeApplied ? told.withOutcome("unknown") : told;
      }
      if (pauseMs > 0) await sleep(this.#clock, pauseMs, call.signal);
    }
  }

  /** The members that have not been asked yet are asked at once. */
  #pauseMs(failure: RegistryError, failures: number): number {
    const askedToWait = failure.retryAfterMs ?? 0;
    if (failure.status === 429) return Math.max(askedToWait, retryBounds.firstMs);
    const rounds = Math.floor(failures / this.#members.count);
    if (rounds === 0) return 0;
    const pauseMs = fullJitter(rounds, retryBounds, this.#random);
    // Without a leader an answer may come much sooner than the advice, which is meant for those who do not spread their retries.
    return failure.code === "overloaded" ? Math.max(askedToWait, pauseMs) : pauseMs;
  }

  /** Returns failures rather than throwing them; the caller's own abort is thrown. */
  async #attempt<Body>(
    call: Call,
    server: string,
    timeoutMs: number,
  ): Promise<Pick<Answer<Body>, "status" | "body" | "source"> | RegistryError> {
    const asked = `${call.method} ${call.path}`;
    const isWrite = call.method !== "GET";
    let reply: Reply;
    try {
      reply = await this.#transport.request(this.#exchange(call, server, timeoutMs, isWrite));
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const outcome = !isWrite ? "none" : error.sent ? "unknown" : "not_applied";
      return new RegistryError(error.kind, error.message, {
        outcome,
        retryable: error.kind !== "too_large",
        server,
        cause: error.cause,
      });
    }
    if (reply.status >= 400) return errorFromAnswer(reply, asked, server, isWrite);
    const body = parseBody(reply.body);
    if (body === undefined) {
      // Whatever answered is no member: a proxy in front of one, perhaps.
      return new RegistryError("internal", `${asked} at ${server}: HTTP ${reply.status}, but not JSON`, {
        status: reply.status,
        outcome: isWrite ? "unknown" : "none",
        retryable: true,
        server,
      });
    }
    return { status: reply.status, body: body as Body, source: sourceOf(reply) };
  }

  #exchange(call: Call, server: string, timeoutMs: number, isWrite: boolean): Exchange {
    const query = call.query ?? "";
    const memberMs = Math.max(1, Math.floor(timeoutMs * memberShareOfTimeout));
    const bound = isWrite ? `${query === "" ? "?" : "&"}timeoutMs=${Math.min(memberMs, 60_000)}` : "";
    return {
      server,
      method: call.method,
      path: `${call.path}${query}${bound}`,
      headers: call.idempotencyKey === undefined ? {} : { "idempotency-key": call.idempotencyKey },
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      timeoutMs,
      signal: call.signal,
    };
  }
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function sourceOf(reply: Reply): AnswerSource {
  const header = (name: string): string => {
    const value = reply.headers[name];
    return typeof value === "string" ? value : "";
  };
  return {
    member: header("rollcall-member"),
    leader: header("rollcall-leader") || null,
    term: Number(header("rollcall-term")) || 0,
    revision: Number(header("rollcall-revision")) || 0,
    staleMs: Number(header("rollcall-stale-ms")) || 0,
    requestId: header("rollcall-request-id"),
  };
}
