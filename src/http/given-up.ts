/**
 * Requests whose client has given up while this process stood still. It finds them in its sockets when it goes on; carrying one out then,
 * with fresh time, could undo what was acknowledged elsewhere meanwhile.
 */

import { ClientGone } from "./body.ts";
import type { Exchange } from "./exchange.ts";

const beatMs = 100;
/** A gap between two beats from which on somebody may have given up. */
const standstillMs = 500;
/** How long after a standstill a request that is read may be from before it. */
const suspectMs = 2_000;

/** Knows whether this process stood still lately. */
export class Standstill {
  readonly #timer: NodeJS.Timeout;
  #beatAtMs = performance.now();
  #suspectUntilMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#beat(performance.now()), beatMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get isRecent(): boolean {
    // The first request after a standstill may be read before the next beat.
    const nowMs = performance.now();
    return nowMs < this.#suspectUntilMs || nowMs - this.#beatAtMs >= standstillMs;
  }

  #beat(nowMs: number): void {
    if (nowMs - this.#beatAtMs >= standstillMs) this.#suspectUntilMs = nowMs + suspectMs;
    this.#beatAtMs = nowMs;
  }
}

/** Throws ClientGone when nobody waits for the answer. The end of a connection is read a turn of the loop after what stands before it. */
export async function mustBeAwaited({ request, response }: Exchange): Promise<void> {
  await nextTurn();
  await nextTurn();
  if (request.socket.destroyed || request.socket.readableEnded || response.writableEnded)
    throw new ClientGone();
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
