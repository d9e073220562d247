/**
 * The closed set of failures that a caller can meet, the same words in the core of the registry, over HTTP and in the client.
 *
 * `http/problem.ts` is the only place that knows their HTTP status.
 */

export const errorCodes = [
  "invalid_argument",
  "unauthenticated",
  "forbidden",
  "not_registered",
  "not_found",
  "superseded",
  "conflict",
  "precondition_failed",
  "method_not_allowed",
  "unsupported_media_type",
  "too_large",
  "storage_full",
  "rate_limited",
  "no_leader",
  "unavailable",
  "too_stale",
  "overloaded",
  "commit_timeout",
  "revision_not_reached",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * What became of a write. `none`: it was a read. `not_applied`: it has not and will not take effect. `unknown`: it may yet; ask again with
 * the same idempotency key.
 */
export type Outcome = "none" | "not_applied" | "unknown";

/** One thing that is wrong with a request: where (a JSON pointer, or a parameter's name) and why. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

export interface ErrorDetails {
  readonly outcome?: Outcome;
  /** How long a client should wait before it tries again, milliseconds. */
  readonly retryAfterMs?: number;
  readonly errors?: readonly FieldError[];
  /** The revision that a failed precondition met. */
  readonly currentRevision?: number;
  readonly cause?: unknown;
}

/** A failure that the caller is told of. The message says what was attempted, with which values, and what to do. */
export class RollcallError extends Error {
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  readonly retryAfterMs: number | null;
  readonly errors: readonly FieldError[];
  readonly currentRevision: number | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = "RollcallError";
    this.code = code;
    this.outcome = details.outcome ?? (code === "commit_timeout" ? "unknown" : "not_applied");
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.errors = details.errors ?? [];
    this.currentRevision = details.currentRevision ?? null;
  }
}
