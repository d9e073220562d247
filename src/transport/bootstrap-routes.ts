/** The answering side of a cluster's first start. These routes are served before the member belongs to a cluster, and afterwards too. */

import type { Logger } from "../observability/logger.ts";
import type { BootstrapHandler } from "../replica/bootstrap-port.ts";
import {
  bootstrapBytesMax,
  encodeIdentity,
  encodePromiseAnswer,
  identityPath,
  promisePath,
  readPromiseQuestion,
} from "./bootstrap-wire.ts";
import type { Exchange } from "./exchange.ts";
import type { TransportLimits } from "./limits.ts";
import type { PeerRoute } from "./peer-server.ts";
import { PeerProtocolError } from "./protocol-error.ts";

export interface BootstrapRoutesOptions {
  readonly limits: TransportLimits;
  readonly logger: Logger;
  /** Null until the member knows who it is. */
  readonly handler: () => BootstrapHandler | null;
}

export function bootstrapRoutes(options: BootstrapRoutesOptions): readonly PeerRoute[] {
  return [
    {
      method: "GET",
      path: identityPath,
      sameCluster: false,
      handle: (exchange) => tellIdentity(exchange, options),
    },
    {
      method: "POST",
      path: promisePath,
      sameCluster: false,
      handle: (exchange) => takePromiseQuestion(exchange, options),
    },
  ];
}

const jsonType = "application/json";
const notReady = { status: 503, code: "not_ready", detail: "it is starting" } as const;

function tellIdentity(exchange: Exchange, { handler }: BootstrapRoutesOptions): void {
  const current = handler();
  if (current === null) exchange.refuse(notReady);
  else exchange.end(encodeIdentity(current.identity()), jsonType);
}

function takePromiseQuestion(exchange: Exchange, { limits, logger, handler }: BootstrapRoutesOptions): void {
  const answer = async (body: Buffer): Promise<void> => {
    const current = handler();
    if (current === null) return exchange.refuse(notReady);
    exchange.end(encodePromiseAnswer(await current.promise(readPromiseQuestion(body))), jsonType);
  };
  exchange.readBody({ bytesMax: bootstrapBytesMax, timeoutMs: limits.bodyTimeoutMs }, (body) => {
    answer(body).catch((error: unknown) => {
      if (error instanceof PeerProtocolError) {
        return exchange.refuse({ status: 400, code: "malformed", detail: error.message });
      }
      logger.error(
        { err: error, peer: exchange.asker.id },
        "could not answer a member that founds the cluster",
      );
      exchange.fail("it could not answer; its log says why");
    });
  });
}
