/**
 * One long-lived GET to a peer whose answer never ends: the peer's messages on one channel. Dials, notices silence, and dials again, for as long
 * as it is not stopped.
 *
 * The receiver dials because Node lets an answer last for ever, while a request that lasts is cut off by servers and middle boxes.
 */

import type { Agent, IncomingMessage } from "node:http";
import { Backoff } from "./backoff.ts";
import type { Channel } from "./channels.ts";
import type { Dialer, DialFailure, Dialled, DialTarget } from "./dialer.ts";
import { FrameDecoder } from "./frames.ts";
import type { Handshake } from "./handshake.ts";
import type { TransportLimits } from "./limits.ts";
import { PeerProtocolError } from "./protocol-error.ts";

export const streamPath = "/peer/stream";

export interface IncomingStreamEvents {
  onOpen(answerer: Handshake): void;
  /** Throws PeerProtocolError when the stream must end for it. */
  onFrame(body: Buffer): void;
  /** An open stream ended, and not by `stop`. The next attempt is under way already. */
  onLost(reason: string): void;
  /** An attempt came to nothing. */
  onFailed(failure: DialFailure): void;
}

export interface IncomingStreamOptions {
  readonly channel: Channel;
  readonly dialer: Dialer;
  readonly agent: Agent;
  readonly limits: TransportLimits;
  /** Whom to dial now; asked again for each attempt. */
  readonly target: () => DialTarget;
  readonly events: IncomingStreamEvents;
}

interface OpenState {
  readonly kind: "open";
  readonly answer: IncomingMessage;
  /** Link heartbeats since the last byte. */
  silentTicks: number;
}

type State =
  | { readonly kind: "stopped" }
  | { readonly kind: "waiting" }
  | { readonly kind: "dialling"; readonly dialled: Dialled }
  | OpenState;

export class IncomingStream {
  readonly #options: IncomingStreamOptions;
  readonly #backoff: Backoff;
  #state: State = { kind: "stopped" };

  constructor(options: IncomingStreamOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.limits);
  }

  get isOpen(): boolean {
    return this.#state.kind === "open";
  }

  start(): void {
    if (this.#state.kind === "stopped") this.#dial();
  }

  stop(): void {
    const state = this.#state;
    this.#state = { kind: "stopped" };
    this.#backoff.stop();
    if (state.kind === "dialling") state.dialled.cancel("it is no longer wanted");
    if (state.kind === "open") state.answer.destroy();
  }

  /** The peer has just shown that it lives: do not wait for long. */
  nudge(): void {
    this.#backoff.cutShort();
  }

  /** Once per link heartbeat. Ticks are counted instead of time, so that a stall of this process looks like one silent tick. */
  tick(): void {
    if (this.#state.kind !== "open") return;
    this.#state.silentTicks += 1;
    const { silenceHeartbeatsMax, linkHeartbeatMs } = this.#options.limits;
    if (this.#state.silentTicks > silenceHeartbeatsMax) {
      this.#lose(this.#state.answer, `nothing came for ${silenceHeartbeatsMax * linkHeartbeatMs} ms`);
    }
  }

  #dial(): void {
    const { dialer, agent, limits, channel, target } = this.#options;
    const dialled = dialer.ask(
      {
        target: target(),
        method: "GET",
        path: `${streamPath}?channel=${channel}`,
        body: null,
        agent,
        sameCluster: true,
        timeoutMs: limits.answerTimeoutMs,
      },
      {
        onAnswer: (answer, answerer) => {
          if (this.#isDialling(dialled)) this.#open(answer, answerer);
          else answer.destroy();
        },
        onFailure: (failure) => {
          if (!this.#isDialling(dialled)) return;
          this.#wait();
          this.#options.events.onFailed(failure);
        },
      },
    );
    this.#state = { kind: "dialling", dialled };
  }

  #isDialling(dialled: Dialled): boolean {
    return this.#state.kind === "dialling" && this.#state.dialled === dialled;
  }

  #open(answer: IncomingMessage, answerer: Handshake): void {
    const decoder = new FrameDecoder(this.#options.limits.frameBytesMax);
    this.#state = { kind: "open", answer, silentTicks: 0 };
    answer.on("data", (chunk: Buffer) => this.#take(answer, decoder, chunk));
    answer.on("close", () => this.#lose(answer, answer.complete ? "it was ended" : "the connection broke"));
    this.#options.events.onOpen(answerer);
  }

  #take(answer: IncomingMessage, decoder: FrameDecoder, chunk: Buffer): void {
    const state = this.#openOn(answer);
    if (state === null) return;
    state.silentTicks = 0;
    try {
      decoder.push(chunk, (body) => {
        // The frame before may have led to the end of this stream.
        if (this.#openOn(answer) === null) return;
        this.#options.events.onFrame(body);
        // Only now: a peer that accepts and closes at once is not dialled without a pause.
        this.#backoff.reset();
      });
    } catch (error) {
      if (!(error instanceof PeerProtocolError)) throw error;
      this.#lose(answer, error.message);
    }
  }

  /** The state of this very stream, or null when it is over. */
  #openOn(answer: IncomingMessage): OpenState | null {
    return this.#state.kind === "open" && this.#state.answer === answer ? this.#state : null;
  }

  /** Does something once for each open stream: afterwards it is over. */
  #lose(answer: IncomingMessage, reason: string): void {
    if (this.#openOn(answer) === null) return;
    answer.destroy();
    this.#wait();
    this.#options.events.onLost(reason);
  }

  #wait(): void {
    this.#state = { kind: "waiting" };
    this.#backoff.wait(() => this.#dial());
  }
}
