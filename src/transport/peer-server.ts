/**
 * The HTTP server on the peer port: who is let in, and to which route. What the routes do is theirs.
 *
 * The order is fixed: route, proof of the secret, handshake, and only then a body. A stranger costs a parsed head and a short answer.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "../replica/node-http.ts";
import type { Authenticator } from "./authenticator.ts";
import { Exchange, refuse } from "./exchange.ts";
import { checkAsker, readHandshake, type Handshake, type Identity, type Refusal } from "./handshake.ts";
import type { TransportLimits } from "./limits.ts";
import type { Problems } from "./problems.ts";

export interface PeerRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Whether only members of the same cluster may ask. */
  readonly sameCluster: boolean;
  handle(exchange: Exchange): void;
}

export interface PeerServerOptions {
  readonly self: () => Identity;
  readonly authenticator: Authenticator;
  readonly limits: TransportLimits;
  readonly problems: Problems;
  readonly routes: readonly PeerRoute[];
  /** Paths that answer 405 as a middle box would. For fault injection in tests. */
  readonly blockedPaths: ReadonlySet<string>;
  /** The incarnation under which the membership knows a member; null when it does not know it. */
  readonly knownIncarnation: (id: string) => string | null;
}

/**
 * `requestTimeout` counts from a request's first byte to the end of its body: 0, because each body has its own timer here. Idle connections
 * outlive the 30 s after which askers drop them, so that an asker never meets one that is just being closed.
 */
export const serverOptions = {
  requestTimeout: 0,
  headersTimeout: 5000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 8 * 1024,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 10_000,
} as const;
const headersMax = 64;

export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #routes: ReadonlyMap<string, PeerRoute>;
  readonly #server: Server;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#routes = new Map(options.routes.map((route) => [`${route.method} ${route.path}`, route]));
    this.#server = createServer(serverOptions, (request, response) => this.#take(request, response));
    this.#server.maxHeadersCount = headersMax;
    this.#server.maxConnections = options.limits.connectionsMax;
    this.#server.on("upgrade", (_request, socket: Socket) => socket.destroy());
  }

  /** Resolves with where it listens; rejects with the system's error (EADDRINUSE, EACCES, ...). */
  listen(at: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(at, () => {
        this.#server.off("error", reject);
        resolve(this.#server.address() as AddressInfo);
      });
    });
  }

  /** Ends all connections. Resolves when the port is free. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    // A connection that breaks shows in what reads or writes it.
    request.on("error", () => {});
    response.on("error", () => {});
    const path = request.url ?? "";
    const url = URL.parse(path, "http://peer");
    const route = this.#routes.get(`${request.method} ${url?.pathname ?? ""}`);
    if (url === null || route === undefined) return refuse(response, unknownRoute);
    if (this.#options.blockedPaths.has(route.path))
      return void response.writeHead(405, { connection: "close" }).end();

    const asker = readHandshake(request.headers);
    if (asker === null) return refuse(response, noHandshake);
    const { authenticator, self } = this.#options;
    if (!authenticator.acceptsRequest(request.headers, asker, route.method, path)) {
      this.#options.problems.report(addressOf(request), "its requests", notAuthenticHere);
      return refuse(response, notAuthentic);
    }
    const identity = self();
    const exchange = new Exchange({ request, response, url }, asker, identity, authenticator);
    const knownIncarnation = route.sameCluster ? this.#options.knownIncarnation(asker.id) : null;
    const refusal = checkAsker(asker, identity, { sameCluster: route.sameCluster, knownIncarnation });
    if (refusal !== null) {
      this.#report(asker, refusal);
      return exchange.refuse(refusal);
    }
    for (const name of [asker.id, addressOf(request)]) this.#options.problems.clear(name, "its requests");
    route.handle(exchange);
  }

  #report(asker: Handshake, refusal: Refusal): void {
    this.#options.problems.report(
      asker.id,
      "its requests",
      `${asker.id} was refused here, and told: ${refusal.detail}`,
    );
  }
}

/** Strangers can choose what they call themselves, but hardly where they are: so they are told apart by their address. */
function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? "an unknown address";
}

const unknownRoute: Refusal = {
  status: 404,
  code: "malformed",
  detail: "this is a peer port, for other members only; clients have a port of their own",
};
const noHandshake: Refusal = {
  status: 400,
  code: "malformed",
  detail: "the headers with which members introduce themselves are missing; clients have a port of their own",
};
const notAuthenticHere = "somebody there asked without a valid proof of the peer secret, and was refused";
const notAuthentic: Refusal = {
  status: 403,
  code: "unauthenticated",
  detail:
    "it does not accept this member's proof of the peer secret: all members must have the same secret, or none",
};
