/**
 * Calls a service over HTTP: picks an instance, and asks another when that one fails, as far as the request may be repeated.
 *
 * Uses the `fetch` that is built into Node, so the answer is an ordinary Response.
 */

import { fullJitter } from "./backoff.ts";
import type { Balancer } from "./balancer.ts";
import { sleep, type Clock } from "./clock.ts";
import { RegistryError } from "./errors.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { Instance } from "./types.ts";

export interface ServiceRequestInit extends RequestInit {
  /**
   * `safe` (default): repeats what HTTP calls idempotent (GET, HEAD, OPTIONS, PUT, DELETE), and anything else only if no connection was made.
   * `always`: the service tells repeated requests apart by itself. `never`: one attempt.
   */
  readonly retry?: "safe" | "always" | "never";
  /** Until the headers of the answer are there, for one attempt. Default 5,000. */
  readonly attemptTimeoutMs?: number;
}

export interface ServiceFetchOptions {
  /** At most so many attempts in all. */
  readonly attempts: number;
  readonly attemptTimeoutMs: number;
}

export interface ServiceFetchParts {
  readonly service: string;
  readonly instances: () => readonly Instance[];
  readonly balancer: Balancer;
  readonly budget: RetryBudget;
  readonly clock: Clock;
  readonly random: () => number;
  readonly fetch: typeof fetch;
  readonly options: ServiceFetchOptions;
}

const idempotentMethods = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
/** A server or a proxy that says: not me, not now. */
const passingStatuses = new Set([502, 503, 504]);
const neverSentCodes = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
const retryBounds = { firstMs: 50, maxMs: 1_000 };

type Attempt = { readonly response: Response } | { readonly error: unknown; readonly sent: boolean };

/**
 * Resolves with the last answer, whatever its status; rejects with what `fetch` rejected with, with a RegistryError `no_instances`, or with the
 * reason of the caller's signal.
 *
 * @param path From the slash on.
 */
export async function serviceFetch(
  parts: ServiceFetchParts,
  path: string,
  init: ServiceRequestInit = {},
): Promise<Response> {
  const tried = new Set<string>();
  parts.budget.noteCall();
  for (let attempts = 1; ; attempts += 1) {
    init.signal?.throwIfAborted();
    const instance = nextInstance(parts, tried);
    if (instance === undefined) {
      throw new RegistryError("no_instances", `${parts.service}: no instance to send ${path} to`, {
        retryable: true,
      });
    }
    const isNewRound = tried.has(instance.id);
    tried.add(instance.id);
    const attempt = await tryOnce(parts, instance, path, init);
    if ("response" in attempt && !passingStatuses.has(attempt.response.status)) return attempt.response;
    const isLast = attempts >= parts.options.attempts || !mayRepeat(init, attempt) || !parts.budget.take();
    if (isLast) {
      if ("response" in attempt) return attempt.response;
      throw attempt.error;
    }
    // Unread bodies hold their connection.
    if ("response" in attempt) await attempt.response.body?.cancel();
    if (isNewRound) {
      const pauseMs = fullJitter(attempts, retryBounds, parts.random);
      await sleep(parts.clock, pauseMs, init.signal ?? undefined);
    }
  }
}

/** Where an instance is reached, without a slash at the end. */
export function urlOf(instance: Instance): string {
  const host = instance.host.includes(":") ? `[${instance.host}]` : instance.host;
  return `${instance.scheme ?? "http"}://${host}:${instance.port}`;
}

/** Those that were not tried first; when all were, any: the list may be short, and the failure may have passed. */
function nextInstance(parts: ServiceFetchParts, tried: ReadonlySet<string>): Instance | undefined {
  const instances = parts.instances();
  return parts.balancer.pick(instances, tried) ?? parts.balancer.pick(instances);
}

async function tryOnce(
  parts: ServiceFetchParts,
  instance: Instance,
  path: string,
  init: ServiceRequestInit,
): Promise<Attempt> {
  const { retry: _retry, attemptTimeoutMs = parts.options.attemptTimeoutMs, ...plain } = init;
  const url = `${urlOf(instance)}${path}`;
  const timeout = new AbortController();
  const cancel = parts.clock.after(attemptTimeoutMs, () =>
    timeout.abort(new DOMException(`${url}: no answer within ${attemptTimeoutMs} ms`, "TimeoutError")),
  );
  const signal = init.signal == null ? timeout.signal : AbortSignal.any([init.signal, timeout.signal]);
  parts.balancer.started(instance);
  try {
    const response = await parts.fetch(url, { ...plain, signal });
    parts.balancer.finished(instance, passingStatuses.has(response.status));
    return { response };
  } catch (error) {
    const isOurCallersWish = init.signal?.aborted === true;
    parts.balancer.finished(instance, !isOurCallersWish);
    if (isOurCallersWish) throw init.signal?.reason;
    return { error, sent: !wasNeverSent(error) };
  } finally {
    cancel();
  }
}

function mayRepeat(init: ServiceRequestInit, attempt: Attempt): boolean {
  if (init.retry === "never" || isConsumed(init.body)) return false;
  if (init.retry === "always" || idempotentMethods.has((init.method ?? "GET").toUpperCase())) return true;
  return "error" in attempt && !attempt.sent;
}

/** A stream can be read once only. */
function isConsumed(body: RequestInit["body"]): boolean {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

function wasNeverSent(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === "string" && neverSentCodes.has(cause.code);
}
