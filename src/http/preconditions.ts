/** Headers that a request may depend on: `If-Match`, `If-None-Match` and `Idempotency-Key`. */

import type { IncomingMessage } from "node:http";
import { registryLimits } from "../registry/model.ts";
import type { RequestHeader } from "./endpoint.ts";
import { invalidArgument, preview } from "./invalid.ts";

export const ifMatchHeader: RequestHeader = {
  name: "If-Match",
  description: 'A revision in double quotes, such as "42": 412 unless it is the instance\'s.',
};

export const ifAbsentHeader: RequestHeader = {
  name: "If-None-Match",
  description: "`*`: 412 if the instance exists.",
};

export const ifChangedHeader: RequestHeader = {
  name: "If-None-Match",
  description: "An earlier `ETag`: 304 if it still holds.",
};

export interface Preconditions {
  /** `If-None-Match: *`. */
  readonly ifAbsent: boolean;
  /** `If-Match: "REVISION"`. */
  readonly ifRevision: number | null;
}

export function revisionTag(revision: number): string {
  return `"${revision}"`;
}

export function preconditions(
  request: IncomingMessage,
  { takesIfNoneMatch }: { readonly takesIfNoneMatch: boolean } = { takesIfNoneMatch: true },
): Preconditions {
  const ifMatch = request.headers["if-match"];
  const ifNoneMatch = request.headers["if-none-match"];
  if (ifNoneMatch !== undefined && !(takesIfNoneMatch && ifNoneMatch.trim() === "*"))
    throw invalidArgument([
      {
        pointer: "If-None-Match",
        detail: takesIfNoneMatch
          ? `must be * (register only if absent); got ${preview(ifNoneMatch)}`
          : "has no meaning here: use If-Match",
      },
    ]);
  if (ifMatch !== undefined && ifNoneMatch !== undefined)
    throw invalidArgument([{ pointer: "If-Match", detail: "cannot hold together with If-None-Match" }]);
  return {
    ifAbsent: ifNoneMatch !== undefined,
    ifRevision: ifMatch === undefined ? null : revisionOf(ifMatch),
  };
}

function revisionOf(ifMatch: string): number {
  const digits = /^\s*"(\d{1,16})"\s*$/.exec(ifMatch)?.[1];
  const revision = Number(digits ?? Number.NaN);
  if (Number.isSafeInteger(revision)) return revision;
  throw invalidArgument([
    {
      pointer: "If-Match",
      detail: `must be one revision in double quotes, such as "42"; got ${preview(ifMatch)}`,
    },
  ]);
}

const keyPattern = new RegExp(`^[!-~]{1,${registryLimits.idempotencyKeyChars}}$`);

export function idempotencyKey(request: IncomingMessage): string | null {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return null;
  if (typeof key === "string" && keyPattern.test(key)) return key;
  throw invalidArgument([
    {
      pointer: "Idempotency-Key",
      detail: `must be 1-${registryLimits.idempotencyKeyChars} visible ASCII characters; got ${preview(key)}`,
    },
  ]);
}

/** Whether the client's copy, named by `If-None-Match`, is the one with this tag. Weak comparison, as RFC 9110 wants it for GET. */
export function clientHas(request: IncomingMessage, etag: string): boolean {
  const given = request.headers["if-none-match"];
  if (given === undefined) return false;
  return given.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
}
