/**
 * Reads the body of a request as JSON, with bounds on everything: its size before and while it is read, its encoding, its nesting, its
 * keys. What the fields mean is checked afterwards, by the endpoint's schema.
 */

import type { IncomingMessage } from "node:http";
import { RollcallError } from "../lib/errors.ts";
import { invalidArgument } from "./invalid.ts";
import { scanJson } from "./json-scan.ts";

export const bodyLimits = {
  /** For one instance. */
  bytesMax: 64 * 1024,
  /** For `/v1/batch` and `/v1/renewals`. */
  bulkBytesMax: 4 * 1024 * 1024,
  depthMax: 16,
} as const;

export interface BodyBounds {
  readonly bytesMax: number;
  readonly mediaTypes: readonly string[];
}

/** The client went away before its request was complete: there is nobody to answer. */
export class ClientGone extends Error {}

/** The answer has been sent, and the client still sends: it may finish, so that it sees the answer, but not forever. */
export function cutOffAfter(ms: number, request: IncomingMessage): void {
  const timer = setTimeout(() => request.socket.destroy(), ms);
  timer.unref();
  request.once("close", () => clearTimeout(timer));
}

/** Resolves with the parsed body, or with undefined when there is none. `withinMs`: how long it may take to arrive. */
export async function readJsonBody(
  request: IncomingMessage,
  bounds: BodyBounds,
  withinMs: number,
): Promise<unknown> {
  const declared = request.headers["content-length"];
  if (declared === undefined && request.headers["transfer-encoding"] === undefined) return undefined;
  if (declared !== undefined && Number(declared) > bounds.bytesMax) throw tooLarge(request, bounds.bytesMax);
  if (declared === undefined || Number(declared) > 0) checkMediaType(request, bounds.mediaTypes);
  const bytes = await readBytes(request, bounds.bytesMax, withinMs);
  if (bytes.length === 0) return undefined;
  return parseJson(decodeUtf8(bytes));
}

function checkMediaType(request: IncomingMessage, accepted: readonly string[]): void {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    throw new RollcallError(
      "unsupported_media_type",
      `Bodies are read as they are, not as "${encoding.slice(0, 40)}": send it without Content-Encoding.`,
    );
  const given = request.headers["content-type"] ?? "";
  const [mediaType = "", ...parameters] = given.split(";").map((part) => part.trim().toLowerCase());
  const otherCharset = parameters.some(
    (parameter) => parameter.startsWith("charset=") && !/^charset="?utf-?8"?$/.test(parameter),
  );
  if (accepted.includes(mediaType) && !otherCharset) return;
  throw new RollcallError(
    "unsupported_media_type",
    `The body must be ${accepted.join(" or ")} in UTF-8; Content-Type was ${
      given === "" ? "not given" : JSON.stringify(given.slice(0, 80))
    }.`,
  );
}

function tooLarge(request: IncomingMessage, bytesMax: number): RollcallError {
  const declared = request.headers["content-length"];
  const size = declared === undefined ? "" : ` and this one has ${declared}`;
  return new RollcallError("too_large", `A body may have ${bytesMax} bytes here${size}. Send less at once.`);
}

function readBytes(request: IncomingMessage, bytesMax: number, withinMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const late = (): void =>
      reject(new RollcallError("invalid_argument", `The body did not arrive within ${withinMs} ms.`));
    const timer = setTimeout(late, withinMs);
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      // What follows is read and dropped, so that the client can finish sending and see the answer. How long it may take is bounded there
      // (`cutOffAfter`).
      chunks.length = 0;
      reject(tooLarge(request, bytesMax));
    });
    request.once("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    request.once("error", () => reject(new ClientGone()));
    request.once("close", () => {
      clearTimeout(timer);
      if (!request.complete) reject(new ClientGone());
    });
  });
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalidArgument([{ pointer: "", detail: "is not valid UTF-8" }]);
  }
}

/** Parses within the bounds on nesting and keys; throws `invalid_argument`. */
export function parseJson(text: string): unknown {
  const findings = scanJson(text, bodyLimits.depthMax);
  if (findings.tooDeep)
    throw invalidArgument([{ pointer: "", detail: `is nested more than ${bodyLimits.depthMax} deep` }]);
  const value = parse(text);
  if (findings.badKey !== null) throw invalidArgument([findings.badKey]);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // Only syntax errors come from there, and their message shows the place.
    throw invalidArgument([{ pointer: "", detail: `is not JSON: ${(error as SyntaxError).message}` }]);
  }
}
