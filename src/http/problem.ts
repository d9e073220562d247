/**
 * What a failure looks like over HTTP (RFC 9457). The only place that maps error codes to statuses.
 *
 * Every entry of the catalogue is also served as a page: a problem's `type` is `/errors/CODE`, answered by every member.
 */

import { RollcallError, type ErrorCode, type FieldError, type Outcome } from "../lib/errors.ts";

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Whether the very same request may succeed later, or at another member. */
  readonly retryable: boolean;
  /** What it means for the client, and what to do. */
  readonly meaning: string;
}

export const problemKinds: Readonly<Record<ErrorCode, ProblemKind>> = {
  invalid_argument: {
    status: 400,
    title: "The request is not valid",
    retryable: false,
    meaning: "Fix the request: `errors` names each field or parameter and its rule. Nothing was changed.",
  },
  unauthenticated: {
    status: 401,
    title: "Who is asking?",
    retryable: false,
    meaning: "Send `Authorization: Bearer TOKEN` with a token that this cluster knows.",
  },
  forbidden: {
    status: 403,
    title: "Not allowed",
    retryable: false,
    meaning: "The token is known, but may not do this.",
  },
  not_registered: {
    status: 404,
    title: "No such instance",
    retryable: false,
    meaning: "The instance is not registered: its lease ran out, or it was deregistered. Register it again.",
  },
  not_found: {
    status: 404,
    title: "Nothing here",
    retryable: false,
    meaning: "The path, or the thing it names, does not exist. `/openapi.json` lists every path.",
  },
  superseded: {
    status: 409,
    title: "Another process holds this id",
    retryable: false,
    meaning:
      "A newer registration under the same id exists. The process that asked is not the owner any more: it must stop renewing.",
  },
  conflict: {
    status: 409,
    title: "In conflict with the present state",
    retryable: false,
    meaning: "The request is valid, but not now: `detail` says what stands in its way.",
  },
  precondition_failed: {
    status: 412,
    title: "The precondition does not hold",
    retryable: false,
    meaning: "Read again, then decide anew. `currentRevision` is the revision that was met instead.",
  },
  method_not_allowed: {
    status: 405,
    title: "Not a method of this path",
    retryable: false,
    meaning: "The path exists; `Allow` lists its methods.",
  },
  unsupported_media_type: {
    status: 415,
    title: "Not a content type that is read here",
    retryable: false,
    meaning: "Bodies are JSON in UTF-8: send `Content-Type: application/json`.",
  },
  too_large: {
    status: 413,
    title: "Too large",
    retryable: false,
    meaning: "Send less at once: 64 KiB for one instance, 4 MiB for a batch.",
  },
  storage_full: {
    status: 507,
    title: "The cluster's disks are full",
    retryable: true,
    meaning: "Nothing new is taken until there is room; deregistrations and renewals still work.",
  },
  rate_limited: {
    status: 429,
    title: "Too many requests",
    retryable: true,
    meaning: "Wait for `Retry-After` seconds, then send at a lower rate.",
  },
  no_leader: {
    status: 503,
    title: "No leader",
    retryable: true,
    meaning:
      "This member knows no leader that a majority follows. Nothing was changed: retry at another member, or later.",
  },
  unavailable: {
    status: 503,
    title: "Not available now",
    retryable: true,
    meaning:
      "This member cannot do that at the moment; `detail` says why. Retry at another member, or later.",
  },
  too_stale: {
    status: 503,
    title: "Staler than asked for",
    retryable: true,
    meaning:
      "This member may be further behind the cluster than `maxStaleMs` allows. Retry at another member.",
  },
  overloaded: {
    status: 503,
    title: "Too busy",
    retryable: true,
    meaning:
      "The request was refused before any work was done on it. Retry after `Retry-After` seconds, or at another member; until then this member may not read what else comes on the connection.",
  },
  commit_timeout: {
    status: 504,
    title: "Not known whether it took effect",
    retryable: true,
    meaning:
      "The write may yet take effect. Ask again with the same `Idempotency-Key`: it will not be done twice.",
  },
  revision_not_reached: {
    status: 504,
    title: "That revision has not arrived here",
    retryable: true,
    meaning:
      "This member has not applied the revision asked for within the wait. Retry, or ask another member.",
  },
  internal: {
    status: 500,
    title: "Our fault",
    retryable: false,
    meaning: "A bug in Rollcall. The member's log has the details under the request id; please report it.",
  },
};

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly requestId: string;
  readonly errors?: readonly FieldError[];
  readonly currentRevision?: number;
  readonly retryAfterMs?: number;
}

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ProblemBody;
}

/** What a client waits before it retries, when nobody knows better. Milliseconds. */
const retryAfterMsDefault = 1_000;

/**
 * A watch holds its connection open instead of waiting for an answer, so for it a revision that does not arrive is a member that
 * cannot serve (503), not a gateway that timed out.
 */
export function statusOf(code: ErrorCode, onWatch: boolean): number {
  if (onWatch && code === "revision_not_reached") return 503;
  return problemKinds[code].status;
}

/** Whether an answer of this status says `Retry-After`. */
export function asksToWait(status: number): boolean {
  return status === 429 || status === 503 || status === 507;
}

export function describeProblem(
  error: RollcallError,
  request: { readonly requestId: string; readonly isRead: boolean; readonly onWatch: boolean },
): Problem {
  const { code } = error;
  const kind = problemKinds[code];
  const status = statusOf(code, request.onWatch);
  const retryAfterMs = error.retryAfterMs ?? (asksToWait(status) ? retryAfterMsDefault : null);
  return {
    status,
    headers: {
      // Whole seconds are all that the header can say; the body has the milliseconds.
      ...(retryAfterMs !== null && { "Retry-After": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }),
      ...(status === 401 && { "WWW-Authenticate": 'Bearer realm="rollcall"' }),
    },
    body: {
      type: `/errors/${code}`,
      title: kind.title,
      status,
      code,
      detail: error.message,
      retryable: kind.retryable,
      outcome: request.isRead ? "none" : error.outcome,
      requestId: request.requestId,
      ...(error.errors.length > 0 ? { errors: error.errors } : {}),
      ...(error.currentRevision !== null ? { currentRevision: error.currentRevision } : {}),
      ...(retryAfterMs !== null ? { retryAfterMs } : {}),
    },
  };
}

/** Turns whatever was thrown into a failure that may be shown. What is not ours to show stays in `cause`, for the log. */
export function toRollcallError(thrown: unknown): RollcallError {
  if (thrown instanceof RollcallError) return thrown;
  return new RollcallError(
    "internal",
    "Something went wrong inside this member. Its log has the details under the request id.",
    {
      outcome: "unknown",
      cause: thrown,
    },
  );
}
