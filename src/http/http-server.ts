/**
 * The client-facing HTTP server: connections, their limits and times, and its graceful end. What requests mean is in app.ts.
 *
 * It can listen before a member runs: then /livez answers, /readyz says what is awaited, and everything under /v1 is `unavailable`.
 */

import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { AccessToken } from "../lib/access-token.ts";
import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { RegistryMember } from "../replica/member.ts";
import { createServer } from "../replica/node-http.ts";
import { Admission, defaultAdmissionLimits, type AdmissionLimits } from "./admission.ts";
import { Access } from "./access.ts";
import { createApi, type ServerState } from "./api.ts";
import { createApp } from "./app.ts";
import { Backpressure, defaultBackpressureLimits, type BackpressureLimits } from "./backpressure.ts";
import { createDoor } from "./door.ts";
import { InOrder } from "./in-order.ts";
import { listenAtOnePort, listenersDefault } from "./listeners.ts";
import { loadClasses } from "./policy.ts";
import { openApiDocument } from "./openapi.ts";
import { defaultPresenceLimits, type PresenceSessionsLimits } from "./presence/sessions.ts";
import { Standstill } from "./given-up.ts";
import { defaultPressureLimits, Pressure, type PressureLimits } from "./pressure.ts";
import { refuseUnreadable, type UnreadableError } from "./unreadable.ts";
import { defaultWatchLimits, type WatchLimits } from "./watch/hub.ts";

export interface HttpTimeouts {
  /** For the headers of a request, from the first byte of its connection's turn. */
  readonly headersMs: number;
  /** For a body to arrive. Answers may take longer. */
  readonly bodyMs: number;
  /** How long an idle connection is kept. */
  readonly keepAliveMs: number;
  /** How often these are looked at. */
  readonly checkEveryMs: number;
}

export interface HttpServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** For the headers, before the member runs. */
  readonly memberId?: string;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly watchLimits?: Partial<WatchLimits>;
  readonly presenceLimits?: Partial<PresenceSessionsLimits>;
  readonly admissionLimits?: AdmissionLimits;
  readonly pressureLimits?: PressureLimits;
  readonly backpressureLimits?: BackpressureLimits;
  /** Open connections, watches included; further ones are closed at once. */
  readonly connectionsMax?: number;
  /** Null or absent: everybody may do everything. */
  readonly tokens?: readonly AccessToken[] | null;
}

export interface HttpServer {
  /** Resolves with the address once it listens; rejects when the port cannot be had. */
  start(): Promise<{ readonly host: string; readonly port: number; readonly url: string }>;
  /** From now on requests are answered by this member. */
  setMember(member: RegistryMember): void;
  /** What the member waits for before it can serve, one line each. */
  setWaiting(lines: readonly string[]): void;
  /** Says "not ready" from now on, and still answers everything. */
  setStopping(): void;
  /**
   * Takes no new connections, ends watches with a hint to come back, finishes requests, and cuts off what is left after `deadlineMs`.
   * Resolves when no connection is open.
   */
  stop(deadlineMs: number): Promise<void>;
}

export const defaultHttpTimeouts: HttpTimeouts = {
  headersMs: 5_000,
  bodyMs: 10_000,
  keepAliveMs: 65_000,
  checkEveryMs: 1_000,
};

export const connectionLimits = {
  headerBytesMax: 16 * 1024,
  /** Watches included. */
  connectionsMax: 25_000,
} as const;

const sweepEveryMs = 20;

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { metrics, logger, random = Math.random } = options;
  const timeouts = { ...defaultHttpTimeouts, ...options.timeouts };
  const { bodyMs } = timeouts;
  const state = newState(options);
  const guard = newGuard(options, state, random);
  const connections = new Connections(options.connectionsMax ?? connectionLimits.connectionsMax, metrics);
  showLoad(state, guard, connections);
  const inOrder = new InOrder();
  const application = createApp({ server: state, logger, inOrder, bodyMs });
  const door = createDoor({ server: state, ...guard, bodyMs, application });
  const servers = Array.from({ length: listenersDefault }, () => {
    const server = newServer(timeouts);
    server.on("connection", (socket) => connections.opened(socket));
    server.on("request", door);
    // An expectation that is not known is no reason to refuse (RFC 9110, 10.1.1); Node would, without saying why.
    server.on("checkExpectation", door);
    server.on("clientError", (error: UnreadableError, socket) =>
      refuseUnreadable(state, error, socket, inOrder.newest(socket)),
    );
    return server;
  });
  return {
    start: () => listen(servers, options.listen),
    setMember: (member) => {
      const watchLimits = { ...defaultWatchLimits, ...options.watchLimits };
      const presenceLimits = { ...defaultPresenceLimits, ...options.presenceLimits };
      const load = (): number => guard.pressure.load;
      state.api = createApi(member, { metrics, logger, random, load, watchLimits, presenceLimits, bodyMs });
    },
    setWaiting: (lines) => {
      state.waiting = lines;
    },
    setStopping: () => {
      state.isStopping = true;
    },
    stop: (deadlineMs) => {
      state.isStopping = true;
      return close(servers, () => endStreams(state, random), deadlineMs).finally(() => {
        guard.pressure.stop();
        state.standstill.stop();
      });
    },
  };
}

function newState({ metrics, tokens = null, memberId = "" }: HttpServerOptions): ServerState {
  return {
    metrics,
    access: new Access(tokens),
    standstill: new Standstill(),
    memberId,
    openapi: openApiDocument,
    api: null,
    waiting: [],
    isStopping: false,
  };
}

/** What the door goes by when there is more to do than can be done. */
interface Guard {
  readonly admission: Admission;
  readonly pressure: Pressure;
  readonly backpressure: Backpressure;
}

function newGuard(options: HttpServerOptions, state: ServerState, random: () => number): Guard {
  const admission = new Admission(options.admissionLimits ?? defaultAdmissionLimits, random);
  // What waits for a leader keeps nobody busy: turning others away, who could be answered without one, would not shorten its wait.
  const underWay = (): number => (state.api?.member.leader() === null ? 0 : admission.takePeak());
  return {
    admission,
    pressure: new Pressure(options.pressureLimits ?? defaultPressureLimits, underWay),
    backpressure: new Backpressure(options.backpressureLimits ?? defaultBackpressureLimits, random),
  };
}

function showLoad(
  state: ServerState,
  { admission, pressure, backpressure }: Guard,
  connections: Connections,
): void {
  const { metrics } = state;
  for (const loadClass of loadClasses) metrics.rejected(loadClass, 0);
  metrics.sampleServerWith(() => ({
    underWay: admission.underWay,
    pressure: pressure.level,
    loopDelayMs: pressure.delayMs,
    connections: connections.count,
    unread: backpressure.unread,
    presences: state.api?.presence.count ?? 0,
  }));
}

/** Counts the open connections of all listening sockets together, and closes those beyond the limit. */
class Connections {
  readonly #max: number;
  readonly #metrics: Metrics;
  #count = 0;

  constructor(max: number, metrics: Metrics) {
    this.#max = max;
    this.#metrics = metrics;
  }

  get count(): number {
    return this.#count;
  }

  opened(socket: Socket): void {
    if (this.#count >= this.#max) {
      this.#metrics.connectionRefused();
      socket.destroy();
      return;
    }
    this.#count += 1;
    socket.once("close", () => (this.#count -= 1));
  }
}

function endStreams({ api }: ServerState, random: () => number): void {
  api?.hub.stop(random);
  api?.presence.stop();
}

function newServer(timeouts: HttpTimeouts): Server {
  const server = createServer({
    headersTimeout: timeouts.headersMs,
    // Bodies have a time of their own (body.ts, app.ts), because Node's knows no exception, and a presence is one.
    requestTimeout: 0,
    keepAliveTimeout: timeouts.keepAliveMs,
    connectionsCheckingInterval: timeouts.checkEveryMs,
    maxHeaderSize: connectionLimits.headerBytesMax,
    // The application asks for it (app.ts), so that its absence is answered as every other error is.
    requireHostHeader: false,
    // Answers and events are small and wanted now.
    noDelay: true,
  });
  // Beyond a number of headers Node drops the rest without a word, a precondition perhaps: their bytes are bound enough.
  server.maxHeadersCount = 0;
  return server;
}

async function listen(
  servers: readonly Server[],
  asked: { readonly host: string; readonly port: number },
): Promise<{ readonly host: string; readonly port: number; readonly url: string }> {
  const { address: host, family, port } = await listenAtOnePort(servers, asked);
  const shownHost = family === "IPv6" ? `[${host}]` : host;
  return { host, port, url: `http://${shownHost}:${port}` };
}

async function close(servers: readonly Server[], endStreams: () => void, deadlineMs: number): Promise<void> {
  const ofAll = (what: (server: Server) => void) => () => servers.forEach(what);
  const deadline = setTimeout(
    ofAll((server) => server.closeAllConnections()),
    deadlineMs,
  );
  // A connection on which a watch or an answer has just ended stays open for the next request, which will not come here.
  const sweep = setInterval(
    ofAll((server) => server.closeIdleConnections()),
    sweepEveryMs,
  );
  const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
  endStreams();
  await Promise.all(closed);
  clearTimeout(deadline);
  clearInterval(sweep);
}
