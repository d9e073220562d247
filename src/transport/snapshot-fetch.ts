/**
 * Pulls one snapshot from a peer. A transfer that breaks off goes on from the chunk after the last that was taken, until too many attempts in a row
 * have brought nothing. The next chunk is read when the last was taken, so a slow disk slows the sender.
 */

import type { Agent, IncomingMessage } from "node:http";
import type { StorageDone } from "../replica/ports.ts";
import { Backoff } from "./backoff.ts";
import type { Dialer, DialFailure, Dialled, DialTarget } from "./dialer.ts";
import { FrameDecoder } from "./frames.ts";
import type { TransportLimits } from "./limits.ts";
import { PeerProtocolError } from "./protocol-error.ts";
import { snapshotPath } from "./snapshot-route.ts";

export interface SnapshotFetchOptions {
  readonly dialer: Dialer;
  readonly agent: Agent;
  readonly limits: TransportLimits;
  readonly id: string;
  /** Whom to ask now; null when it is no peer any more. */
  readonly target: () => DialTarget | null;
  readonly onChunk: (chunk: Uint8Array, taken: StorageDone) => void;
  readonly done: (failure: { readonly message: string } | null) => void;
}

export class SnapshotFetch {
  readonly #options: SnapshotFetchOptions;
  readonly #backoff: Backoff;
  /** Chunks taken so far, and so the position to go on from. */
  #position = 0;
  #fruitless = 0;
  #isTaking = false;
  #isDone = false;
  #dialled: Dialled | null = null;
  #answer: IncomingMessage | null = null;
  /** Link heartbeats without a byte, while one is expected. */
  #silentTicks = 0;

  constructor(options: SnapshotFetchOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.limits);
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  start(): void {
    const { dialer, agent, limits, id, target } = this.#options;
    const from = target();
    if (from === null) return this.#finishSoon({ message: "the member that offered it is no peer any more" });
    const question = {
      target: from,
      method: "GET",
      path: `${snapshotPath}?id=${encodeURIComponent(id)}&position=${this.#position}`,
      body: null,
      agent,
      sameCluster: true,
      // The sender begins its answer with the first chunk, which may have to be read from a busy disk.
      timeoutMs: limits.answerTimeoutMs * 5,
    } as const;
    this.#dialled = dialer.ask(question, {
      onAnswer: (answer) => this.#read(answer),
      onFailure: (failure) => this.#attemptFailed(failure),
    });
  }

  /** Once per link heartbeat. */
  tick(): void {
    if (this.#answer === null || this.#isTaking) return;
    this.#silentTicks += 1;
    if (this.#silentTicks > this.#options.limits.silenceHeartbeatsMax)
      this.#cut(this.#answer, "nothing came any more");
  }

  stop(reason: string): void {
    this.#finish({ message: reason });
  }

  #read(answer: IncomingMessage): void {
    if (this.#isDone) return void answer.destroy();
    const decoder = new FrameDecoder(this.#options.limits.frameBytesMax);
    this.#answer = answer;
    this.#silentTicks = 0;
    answer.on("data", (bytes: Buffer) => {
      if (this.#answer !== answer) return;
      this.#silentTicks = 0;
      const chunks: Buffer[] = [];
      try {
        decoder.push(bytes, (chunk) => chunks.push(chunk));
      } catch (error) {
        if (!(error instanceof PeerProtocolError)) throw error;
        return this.#cut(answer, error.message);
      }
      this.#takeAll(answer, chunks);
    });
    answer.on("close", () => {
      // The last chunks may still be on their way to the disk; what follows them is asked for again.
      if (!this.#isTaking) this.#cut(answer, "the connection broke");
    });
  }

  /** Hands over one chunk after the other, with the connection at rest meanwhile. */
  #takeAll(answer: IncomingMessage, chunks: readonly Buffer[]): void {
    const [chunk, ...rest] = chunks;
    if (chunk === undefined) {
      answer.resume();
      if (answer.destroyed) this.#cut(answer, "the connection broke");
      return;
    }
    if (chunk.byteLength === 0) return this.#finish(null);
    answer.pause();
    this.#isTaking = true;
    this.#options.onChunk(new Uint8Array(chunk), (failure) => {
      this.#isTaking = false;
      if (this.#isDone) return;
      if (failure !== null)
        return this.#finish({ message: `a chunk could not be written: ${failure.message}` });
      this.#position += 1;
      this.#fruitless = 0;
      this.#backoff.reset();
      if (this.#answer === answer) this.#takeAll(answer, rest);
    });
  }

  #attemptFailed({ kind, reason }: DialFailure): void {
    if (this.#isDone) return;
    // A refusal that a later attempt would meet as well: the offer is gone.
    if (kind === "refused" || kind === "distrusted") return this.#finish({ message: reason });
    this.#retry(reason);
  }

  #cut(answer: IncomingMessage, reason: string): void {
    if (this.#isDone || this.#answer !== answer) return;
    this.#answer = null;
    answer.destroy();
    this.#retry(reason);
  }

  #retry(reason: string): void {
    this.#fruitless += 1;
    if (this.#fruitless >= this.#options.limits.snapshotAttemptsMax) {
      return this.#finish({
        message: `${this.#fruitless} attempts in a row brought nothing; the last: ${reason}`,
      });
    }
    this.#backoff.wait(() => this.start());
  }

  #finishSoon(failure: { readonly message: string }): void {
    setImmediate(() => this.#finish(failure));
  }

  #finish(failure: { readonly message: string } | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#backoff.stop();
    this.#dialled?.cancel("the snapshot transfer has ended");
    this.#answer?.destroy();
    this.#answer = null;
    this.#options.done(failure);
  }
}
