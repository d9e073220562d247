/**
 * An endless watch: when a connection ends, the stream is resumed after the last revision seen, at any member, so that the reader sees each
 * change once and in order.
 */

import { fullJitter } from "./backoff.ts";
import { sleep, type Clock } from "./clock.ts";
import { RegistryError } from "./errors.ts";
import type { Members } from "./members.ts";
import type { Transport } from "./transport.ts";
import type { WatchEvent, WatchQuery } from "./types.ts";
import { watchStream } from "./watch-stream.ts";

export interface WatchParts {
  readonly transport: Transport;
  readonly members: Members;
  readonly clock: Clock;
  readonly random: () => number;
  readonly openTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** After so many failed connections in a row, without an event between them, the last failure is thrown. Default: never. */
  readonly failuresMax?: number;
}

const reconnectBounds = { firstMs: 100, maxMs: 5_000 };

/**
 * Goes on through everything that passes. Throws `signal.reason` when aborted, and a RegistryError when asking again is of no use: a query that
 * is refused, or a cluster without watches.
 */
export async function* watch(
  parts: WatchParts,
  query: WatchQuery,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { signal } = query;
  let afterRevision = query.afterRevision;
  let failures = 0;
  for (;;) {
    signal?.throwIfAborted();
    const server = parts.members.pick();
    let pauseMs = 0;
    try {
      const { openTimeoutMs, idleTimeoutMs } = parts;
      const options = { server, query: { ...query, afterRevision }, openTimeoutMs, idleTimeoutMs, signal };
      for await (const event of watchStream(parts.transport, parts.clock, options)) {
        if (event.type === "goaway") {
          pauseMs = Math.min(event.reconnectInMs, reconnectBounds.maxMs);
          break;
        }
        if (failures > 0) parts.members.succeeded(server);
        failures = 0;
        // Only a snapshot may go back: the cluster was restored from a backup, and that is the truth now.
        afterRevision =
          event.type === "snapshot" ? event.revision : Math.max(event.revision, afterRevision ?? 0);
        yield event;
      }
    } catch (error) {
      if (!(error instanceof RegistryError) || !error.retryable) throw error;
      if (failures + 1 >= (parts.failuresMax ?? Number.POSITIVE_INFINITY)) throw error;
    }
    // Broken, or ended by a member that is closing: the watch goes on at another. One failure is most often just that, so there is no pause.
    parts.members.failed(server);
    failures += 1;
    if (failures > 1) pauseMs += fullJitter(failures - 1, reconnectBounds, parts.random);
    if (pauseMs > 0) await sleep(parts.clock, pauseMs, signal);
  }
}
