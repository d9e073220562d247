/**
 * Says what is wrong with a request: from zod's issues, or found by hand, to one `invalid_argument` that names each field and its rule.
 */

import type { z } from "zod";
import { RollcallError, type FieldError } from "../lib/errors.ts";
import { nearestName } from "../lib/nearest-name.ts";

/** More than this helps nobody, and a hostile body could have a million. */
const errorsMax = 20;
const previewCharsMax = 60;
/** A name longer than this is no slip of the pen, and comparing it would cost time. */
const suggestionCharsMax = 64;

export function invalidArgument(errors: readonly FieldError[]): RollcallError {
  const [first] = errors;
  if (first === undefined) return new RollcallError("invalid_argument", "The request is not valid.");
  const where = first.pointer === "" ? "The body" : first.pointer;
  const rest = errors.length === 1 ? "" : ` (and ${errors.length - 1} more: see errors)`;
  return new RollcallError("invalid_argument", `${where} ${first.detail}${rest}`, {
    errors: errors.slice(0, errorsMax),
  });
}

/** `known`: what could have been meant. Used for body fields and for query parameters alike. */
export function unknownName(name: string, known: readonly string[], kind: "field" | "parameter"): string {
  const meant = name.length > suggestionCharsMax ? null : nearestName(name, known);
  if (meant !== null) return `is not a known ${kind}; did you mean "${meant}"?`;
  if (known.length === 0) return `is not a known ${kind}; there are none here`;
  return `is not a known ${kind}; known are ${known.join(", ")}`;
}

/** Pointers are JSON pointers (RFC 6901) into `input`. */
export function fieldErrors(error: z.ZodError, input: unknown): FieldError[] {
  const errors = error.issues.slice(0, errorsMax).flatMap((issue) => ofIssue(issue, input));
  // A number that no double holds exactly breaks two checks of one rule, and is told once.
  const isFirst = ({ pointer, detail }: FieldError, i: number): boolean =>
    errors.findIndex((one) => one.pointer === pointer && one.detail === detail) === i;
  return errors.filter(isFirst);
}

function ofIssue(issue: z.core.$ZodIssue, input: unknown): FieldError[] {
  const pointer = jsonPointer(issue.path);
  if (issue.code === "unrecognized_keys") {
    // `strictObject` of schemas.ts writes one line for each key, because only there the known fields are at hand.
    const lines = issue.message.split("\n");
    return issue.keys.slice(0, errorsMax).map((key, i) => ({
      pointer: `${pointer}/${escapePointer(key)}`,
      detail: lines[i] ?? "is not a known field",
    }));
  }
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  const value = issue.code === "invalid_key" ? issue.path.at(-1) : valueAt(input, issue.path);
  if (value === undefined) return [{ pointer, detail: `is missing; it ${message}` }];
  return [{ pointer, detail: `${message}; got ${preview(value)}` }];
}

function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${escapePointer(String(part))}`).join("");
}

export function escapePointer(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** The value as JSON, cut short. */
export function preview(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text =
    typeof value === "string" ? JSON.stringify(value.slice(0, previewCharsMax + 1)) : String(value);
  return text.length > previewCharsMax ? `${text.slice(0, previewCharsMax)}…` : text;
}
