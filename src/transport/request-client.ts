/** Asks a peer something outside of Raft, and ends in exactly one outcome. */

import type { Agent } from "node:http";
import type { NodeId } from "../raft/types.ts";
import type { PeerOutcome, PeerRequest } from "../replica/ports.ts";
import { readBody } from "./body.ts";
import type { Dialer, Dialled, DialTarget } from "./dialer.ts";
import { frameHeaderBytes } from "./frames.ts";
import type { TransportLimits } from "./limits.ts";
import { PeerProtocolError } from "./protocol-error.ts";
import { decodeReply, encodeRequest } from "./request-wire.ts";

export const requestPath = "/peer/request";

export interface RequestClientOptions {
  readonly dialer: Dialer;
  readonly agent: Agent;
  readonly limits: TransportLimits;
}

interface Pending {
  readonly to: NodeId;
  cancel(reason: string): void;
}

export class RequestClient {
  readonly #options: RequestClientOptions;
  readonly #pending = new Set<Pending>();

  constructor(options: RequestClientOptions) {
    this.#options = options;
  }

  /** `done` is called exactly once, and never within the call. */
  ask(
    target: DialTarget,
    request: PeerRequest,
    timeoutMs: number,
    done: (outcome: PeerOutcome) => void,
  ): void {
    const { frameBytesMax, requestsInFlightMax } = this.#options.limits;
    const body = encodeRequest(request);
    if (body.byteLength - frameHeaderBytes > frameBytesMax) {
      return refuseSoon(done, `a request of ${body.byteLength} bytes is over the limit of ${frameBytesMax}`);
    }
    const underWay = [...this.#pending].filter((pending) => pending.to === target.id).length;
    if (underWay >= requestsInFlightMax) {
      return refuseSoon(done, `${underWay} requests to ${target.id} are under way already`);
    }
    this.#ask(target, body, timeoutMs, done);
  }

  /** Every request that is under way ends now, as `broken` or `notSent`. */
  stop(): void {
    for (const pending of this.#pending) pending.cancel("this member is stopping");
  }

  #ask(target: DialTarget, body: Buffer, timeoutMs: number, done: (outcome: PeerOutcome) => void): void {
    const { dialer, agent, limits } = this.#options;
    let cancelledFor: string | null = null;
    const pending: Pending = {
      to: target.id,
      cancel: (reason) => {
        cancelledFor ??= reason;
        dialled.cancel(reason);
      },
    };
    const end = (outcome: PeerOutcome): void => {
      if (!this.#pending.delete(pending)) return;
      clearTimeout(timer);
      done(outcome);
    };
    // The dialler's own limit ends with the head of the answer; this one covers the body too.
    const timer = setTimeout(() => pending.cancel(`no answer within ${Math.round(timeoutMs)} ms`), timeoutMs);
    this.#pending.add(pending);

    const question = {
      target,
      method: "POST",
      path: requestPath,
      body,
      agent,
      sameCluster: true,
      timeoutMs: timeoutMs + 1000,
    } as const;
    const dialled: Dialled = dialer.ask(question, {
      onAnswer: (answer) => {
        const bytesMax = limits.frameBytesMax + frameHeaderBytes;
        readBody(answer, { bytesMax, timeoutMs: null }, (failure, bytes) => {
          if (failure === null) return end(readOutcome(bytes, limits.frameBytesMax, target));
          answer.destroy();
          end({ kind: "broken", reason: `the reply of ${target.id} broke off: ${cancelledFor ?? failure}` });
        });
      },
      onFailure: (failure) => {
        const mayBeHandled = failure.kind === "broken" || failure.kind === "distrusted";
        end({ kind: mayBeHandled ? "broken" : "notSent", reason: failure.reason });
      },
    });
  }
}

function readOutcome(bytes: Buffer, frameBytesMax: number, target: DialTarget): PeerOutcome {
  try {
    return { kind: "reply", reply: decodeReply(bytes, frameBytesMax) };
  } catch (error) {
    if (!(error instanceof PeerProtocolError)) throw error;
    return { kind: "broken", reason: `the reply of ${target.id} cannot be read: ${error.message}` };
  }
}

function refuseSoon(done: (outcome: PeerOutcome) => void, reason: string): void {
  setImmediate(() => done({ kind: "notSent", reason }));
}
