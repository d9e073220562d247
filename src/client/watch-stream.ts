/**
 * One watch connection to one member: lines of NDJSON become events, until it ends or falls silent. Resuming elsewhere is `watch.ts`.
 */

import type { Clock } from "./clock.ts";
import { errorFromAnswer, RegistryError } from "./errors.ts";
import { watchPath } from "./paths.ts";
import { answerBytesMax, TransportError, type Transport } from "./transport.ts";
import type { WatchEvent, WatchQuery } from "./types.ts";

/** The last line of a member that is closing. */
export interface Goaway {
  readonly type: "goaway";
  readonly revision: number;
  /** So that its clients do not all come to the next member at once. */
  readonly reconnectInMs: number;
}

export interface WatchStreamOptions {
  readonly server: string;
  readonly query: WatchQuery;
  /** For the connection and the answer's headers. */
  readonly openTimeoutMs: number;
  /** A connection that is silent for longer is dead. The registry sends something at least every 15 s. */
  readonly idleTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Ends when the member ends the stream; throws a RegistryError when it breaks, and `signal.reason` when aborted. */
export async function* watchStream(
  transport: Transport,
  clock: Clock,
  options: WatchStreamOptions,
): AsyncGenerator<WatchEvent | Goaway, void, undefined> {
  const { server, signal } = options;
  const path = watchPath(options.query);
  try {
    const reply = await transport.stream({
      server,
      method: "GET",
      path,
      headers: { accept: "application/x-ndjson" },
      timeoutMs: options.openTimeoutMs,
      signal,
    });
    let cancel = (): void => {};
    const rearm = (): void => {
      cancel();
      cancel = clock.after(options.idleTimeoutMs, () => {
        const what = `GET ${path} at ${server}: silent for ${options.idleTimeoutMs} ms`;
        reply.body.destroy(new TransportError("timeout", what, true));
      });
    };
    try {
      rearm();
      if (reply.status !== 200) throw await refusal(reply, path, server);
      for await (const line of linesOf(reply.body as AsyncIterable<Buffer>, rearm)) {
        yield JSON.parse(line) as WatchEvent | Goaway;
      }
    } finally {
      cancel();
      // Also when the reader stopped early: the member must not go on sending to nobody.
      reply.body.destroy();
    }
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : asRegistryError(error, server);
  }
}

async function refusal(
  reply: { status: number; headers: Record<string, string | string[] | undefined>; body: unknown },
  path: string,
  server: string,
): Promise<RegistryError> {
  const lines: string[] = [];
  for await (const chunk of reply.body as AsyncIterable<Buffer>) lines.push(chunk.toString("utf8"));
  return errorFromAnswer({ ...reply, body: lines.join("") }, `GET ${path}`, server, false);
}

async function* linesOf(body: AsyncIterable<Buffer>, heard: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    heard();
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > answerBytesMax) throw new Error(`a line is longer than ${answerBytesMax} characters`);
    let end = rest.indexOf("\n");
    let start = 0;
    for (; end >= 0; end = rest.indexOf("\n", start)) {
      const line = rest.slice(start, end).trim();
      start = end + 1;
      if (line !== "") yield line;
    }
    rest = rest.slice(start);
  }
}

function asRegistryError(error: unknown, server: string): RegistryError {
  if (error instanceof RegistryError) return error;
  const code = error instanceof TransportError ? error.kind : "unreachable";
  const message = error instanceof Error ? error.message : String(error);
  return new RegistryError(code, message, { retryable: true, server, cause: error });
}
