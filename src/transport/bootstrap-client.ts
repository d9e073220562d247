/** The asking side of a cluster's first start. */

import type { Agent } from "node:http";
import type {
  BootstrapClient,
  BootstrapIdentity,
  BootstrapOutcome,
  BootstrapPeer,
  PromiseAnswer,
  PromiseQuestion,
} from "../replica/bootstrap-port.ts";
import { readBody } from "./body.ts";
import {
  bootstrapBytesMax,
  encodePromiseQuestion,
  identityPath,
  promisePath,
  readIdentity,
  readPromiseAnswer,
} from "./bootstrap-wire.ts";
import type { Dialer } from "./dialer.ts";
import type { TransportLimits } from "./limits.ts";
import { PeerProtocolError } from "./protocol-error.ts";

interface Asked<Answer> {
  readonly path: string;
  /** Null: a GET. */
  readonly body: Buffer | null;
  readonly read: (bytes: Buffer) => Answer;
}

export class HttpBootstrapClient implements BootstrapClient {
  readonly #dialer: Dialer;
  readonly #agent: Agent;
  readonly #limits: TransportLimits;

  constructor(dialer: Dialer, agent: Agent, limits: TransportLimits) {
    this.#dialer = dialer;
    this.#agent = agent;
    this.#limits = limits;
  }

  identity(peer: BootstrapPeer): Promise<BootstrapOutcome<BootstrapIdentity>> {
    return this.#ask(peer, { path: identityPath, body: null, read: readIdentity });
  }

  promise(peer: BootstrapPeer, question: PromiseQuestion): Promise<BootstrapOutcome<PromiseAnswer>> {
    return this.#ask(peer, {
      path: promisePath,
      body: encodePromiseQuestion(question),
      read: readPromiseAnswer,
    });
  }

  #ask<Answer>(peer: BootstrapPeer, { path, body, read }: Asked<Answer>): Promise<BootstrapOutcome<Answer>> {
    const question = {
      target: { id: peer.id, incarnation: null, url: peer.peerUrl },
      method: body === null ? "GET" : "POST",
      path,
      body,
      agent: this.#agent,
      sameCluster: false,
      // The other side writes to its disk before it answers.
      timeoutMs: this.#limits.bodyTimeoutMs,
    } as const;
    return new Promise((resolve) => {
      this.#dialer.ask(question, {
        onAnswer: (answer) => {
          const bounds = { bytesMax: bootstrapBytesMax, timeoutMs: this.#limits.bodyTimeoutMs };
          readBody(answer, bounds, (failure, bytes) => {
            if (failure !== null) answer.destroy();
            resolve(
              failure === null
                ? parse(bytes, read, peer)
                : unreachable(peer, `its answer broke off (${failure})`),
            );
          });
        },
        onFailure: ({ kind, reason }) =>
          resolve({ kind: kind === "refused" || kind === "distrusted" ? "refused" : "unreachable", reason }),
      });
    });
  }
}

function parse<Answer>(
  bytes: Buffer,
  read: (bytes: Buffer) => Answer,
  peer: BootstrapPeer,
): BootstrapOutcome<Answer> {
  try {
    return { kind: "answer", answer: read(bytes) };
  } catch (error) {
    if (!(error instanceof PeerProtocolError)) throw error;
    return unreachable(peer, `its answer cannot be read: ${error.message}`);
  }
}

function unreachable(
  peer: BootstrapPeer,
  what: string,
): { readonly kind: "unreachable"; readonly reason: string } {
  return { kind: "unreachable", reason: `${peer.id} at ${peer.peerUrl}: ${what}` };
}
