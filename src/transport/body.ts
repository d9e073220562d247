/** Reads a whole HTTP body, bounded in size and time. */

import type { Readable } from "node:stream";

export interface BodyLimits {
  readonly bytesMax: number;
  /** Null: the caller has a timer of its own. */
  readonly timeoutMs: number | null;
}

/** Why there is no body. `tooLarge` is found out while it arrives: the connection must be closed. */
export type BodyFailure = "tooLarge" | "timeout" | "broken";

/** `done` is called exactly once. */
export function readBody(
  stream: Readable,
  limits: BodyLimits,
  done: (failure: BodyFailure | null, body: Buffer) => void,
): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  const end = (failure: BodyFailure | null): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    done(failure, failure === null ? Buffer.concat(parts, bytes) : Buffer.alloc(0));
  };
  const timer = limits.timeoutMs === null ? undefined : setTimeout(() => end("timeout"), limits.timeoutMs);

  stream.on("data", (part: Buffer) => {
    if (ended) return;
    bytes += part.byteLength;
    if (bytes > limits.bytesMax) return end("tooLarge");
    parts.push(part);
  });
  stream.on("end", () => end(null));
  stream.on("error", () => end("broken"));
  stream.on("close", () => end("broken"));
}
