/**
 * The one error that the SDK throws, and how answers of the registry and failures of the network become it.
 *
 * Not here: the caller's own abort. An aborted call rejects with `signal.reason`, as `fetch` does.
 */

import type { ErrorCode, FieldError, Outcome } from "../lib/errors.ts";

/**
 * What the registry answers, and four that only a client can meet: `unreachable` (no connection to the member), `timeout` (no answer in time),
 * `no_instances` (the list has nobody to call), `closed` (this object was closed before).
 */
export type RegistryErrorCode = ErrorCode | "unreachable" | "timeout" | "no_instances" | "closed";

export interface RegistryErrorDetails {
  /** HTTP status of the answer; null when there was none. */
  readonly status?: number | null;
  readonly outcome?: Outcome;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number | null;
  readonly requestId?: string | null;
  /** The member that was asked. */
  readonly server?: string | null;
  readonly errors?: readonly FieldError[];
  readonly cause?: unknown;
}

/** The message starts with the code in brackets, because many tools show nothing but the message. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  readonly status: number | null;
  /** Of the whole call, all its attempts included: `unknown` if any of them may yet take effect. */
  readonly outcome: Outcome;
  /** Whether the same call may succeed later or at another member. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  readonly requestId: string | null;
  readonly server: string | null;
  readonly errors: readonly FieldError[];

  constructor(code: RegistryErrorCode, message: string, details: RegistryErrorDetails = {}) {
    super(`[${code}] ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "RegistryError";
    this.code = code;
    this.status = details.status ?? null;
    this.outcome = details.outcome ?? "none";
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.requestId = details.requestId ?? null;
    this.server = details.server ?? null;
    this.errors = details.errors ?? [];
  }

  /** The same failure, told of a call of which an earlier attempt may have taken effect. */
  withOutcome(outcome: Outcome): RegistryError {
    if (outcome === this.outcome) return this;
    const { code, status, retryable, retryAfterMs, requestId, server, errors, cause } = this;
    const message = this.message.slice(`[${code}] `.length);
    const details = { status, outcome, retryable, retryAfterMs, requestId, server, errors, cause };
    return new RegistryError(code, message, details);
  }
}

/** An answer with a status of 400 or more, which is problem+json unless something between us and the member wrote it. */
export interface FailedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

interface Problem {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly title?: unknown;
  readonly retryable?: unknown;
  readonly outcome?: unknown;
  readonly requestId?: unknown;
  readonly errors?: unknown;
}

/**
 * @param asked What was asked, for the message: `PUT /v1/services/echo/instances/e1`.
 * @param isWrite Whether something may have changed when the answer does not say.
 */
export function errorFromAnswer(
  answer: FailedAnswer,
  asked: string,
  server: string,
  isWrite: boolean,
): RegistryError {
  const problem = parseProblem(answer.body);
  const code = (typeof problem.code === "string" ? problem.code : codeFor(answer.status)) as ErrorCode;
  const outcome = isOutcome(problem.outcome) ? problem.outcome : isWrite ? "unknown" : "none";
  const detail = [problem.detail, problem.title].find((text) => typeof text === "string");
  return new RegistryError(code, `${asked} at ${server}: ${detail ?? `HTTP ${answer.status}`}`, {
    status: answer.status,
    outcome,
    // Writes of the SDK may all be repeated (by key, or because they are renewals), so an unknown outcome is worth another try.
    retryable: problem.retryable === true || outcome === "unknown" || isPassing(answer.status),
    retryAfterMs: parseRetryAfter(answer.headers["retry-after"]),
    requestId:
      typeof problem.requestId === "string"
        ? problem.requestId
        : asText(answer.headers["rollcall-request-id"]),
    server,
    errors: Array.isArray(problem.errors) ? (problem.errors as FieldError[]) : [],
  });
}

function parseProblem(body: string): Problem {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    // A proxy's page of HTML, or nothing at all: the status has to do.
    return {};
  }
}

function codeFor(status: number): ErrorCode {
  switch (status) {
    case 400:
      return "invalid_argument";
    case 401:
      return "unauthenticated";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 429:
      return "rate_limited";
    case 502:
    case 503:
    case 504:
      return "unavailable";
    default:
      return "internal";
  }
}

function isPassing(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

function isOutcome(value: unknown): value is Outcome {
  return value === "none" || value === "not_applied" || value === "unknown";
}

/** Seconds, as the registry sends it. The other form, a date, is left alone: this machine's clock may be wrong. */
function parseRetryAfter(value: string | readonly string[] | undefined): number | null {
  const seconds = Number(asText(value) ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

function asText(value: string | readonly string[] | undefined): string | null {
  return typeof value === "string" ? value : null;
}
