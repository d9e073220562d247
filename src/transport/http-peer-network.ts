/**
 * The way to the other members, over HTTP on a port of its own. Builds and owns everything in this folder; the parts know one another
 * only through what is handed to them here.
 *
 * Life: `listen` (the routes of the first start are served) -> `start` (streams are dialled, messages and requests flow) -> `stop`.
 */

import type { AddressInfo } from "node:net";
import type { Message } from "../raft/messages.ts";
import { noEntry, type EntryId, type Member, type NodeId, type SnapshotMeta } from "../raft/types.ts";
import type { BootstrapClient, BootstrapHandler } from "../replica/bootstrap-port.ts";
import { Agent } from "../replica/node-http.ts";
import type { PeerHandler, PeerNetwork, PeerOutcome, PeerRequest, StorageDone } from "../replica/ports.ts";
import type { Logger } from "../observability/logger.ts";
import { Authenticator } from "./authenticator.ts";
import { HttpBootstrapClient } from "./bootstrap-client.ts";
import { bootstrapRoutes } from "./bootstrap-routes.ts";
import { Dialer, type DialTarget } from "./dialer.ts";
import { isWord, protocolRange, type Identity, type ProtocolRange } from "./handshake.ts";
import { defaultTransportLimits, type TransportLimits } from "./limits.ts";
import { messageRoutes } from "./message-routes.ts";
import { PeerLink } from "./peer-link.ts";
import { PeerServer } from "./peer-server.ts";
import type { PeerStats } from "./peer-stats.ts";
import { Problems } from "./problems.ts";
import { RequestClient } from "./request-client.ts";
import { requestRoute } from "./request-route.ts";
import { Resolver } from "./resolver.ts";
import { SnapshotFetch } from "./snapshot-fetch.ts";
import { snapshotRoute } from "./snapshot-route.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface PeerNetworkOptions {
  readonly self: {
    readonly id: NodeId;
    readonly incarnation: string;
    /** Version of this build. */
    readonly version: string;
  };
  /** The cluster that this member belonged to when it was last up; null or absent before its first start. */
  readonly clusterId?: string | null;
  readonly listen: { readonly host: string; readonly port: number };
  /** The configured list. It is tried before the address that the membership holds, and is all there is before any membership is known. */
  readonly peers: readonly { readonly id: NodeId; readonly peerUrl: string }[];
  /** Shared by all members, at least 16 characters; null for none. */
  readonly secret: string | null;
  readonly logger: Logger;
  readonly limits?: Partial<TransportLimits>;
  /** Paths such as /peer/stream that this member's server refuses, as a middle box would. For fault injection in tests only. */
  readonly blockedPaths?: ReadonlySet<string>;
  /** Another range than this build's, for tests of upgrades. */
  readonly protocol?: ProtocolRange;
}

/** What exists between `start` and `stop`. */
interface Running {
  readonly handler: PeerHandler;
  readonly heartbeat: NodeJS.Timeout;
}

/** Idle connections are dropped well before the server's 65 s. */
const idleConnectionMs = 30_000;

export class HttpPeerNetwork implements PeerNetwork {
  readonly #options: PeerNetworkOptions;
  readonly #limits: TransportLimits;
  readonly #logger: Logger;
  readonly #problems: Problems;
  readonly #dialer: Dialer;
  readonly #server: PeerServer;
  readonly #requests: RequestClient;
  readonly #bucket: TokenBucket;
  readonly #links = new Map<NodeId, PeerLink>();
  readonly #fetches = new Set<SnapshotFetch>();
  /** Streams and snapshots have connections of their own; messages and requests share some. */
  readonly #agents = {
    streams: new Agent({ keepAlive: false }),
    messages: new Agent({
      keepAlive: true,
      keepAliveMsecs: 10_000,
      maxSockets: 2,
      timeout: idleConnectionMs,
    }),
    requests: new Agent({
      keepAlive: true,
      keepAliveMsecs: 10_000,
      timeout: idleConnectionMs,
    }),
    snapshots: new Agent({ keepAlive: false }),
  };
  readonly bootstrap: BootstrapClient;
  #clusterId: string | null = null;
  /** By the membership in force; null while none is known. */
  #members: readonly Member[] | null = null;
  #membershipAt: EntryId = noEntry;
  #bootstrapHandler: BootstrapHandler | null = null;
  #running: Running | null = null;
  #isStopped = false;

  /** Throws RangeError when the secret is too short, or the id has other characters than printable ASCII. */
  constructor(options: PeerNetworkOptions) {
    mustBeWords(options);
    this.#options = options;
    this.#limits = { ...defaultTransportLimits, ...options.limits };
    this.#logger = options.logger;
    this.#clusterId = options.clusterId ?? null;
    this.#problems = new Problems(this.#logger);
    const authenticator = new Authenticator(options.secret);
    const self = (): Identity => this.#identity();
    this.#dialer = new Dialer(self, authenticator, new Resolver());
    this.#bucket = new TokenBucket(this.#limits.snapshotBytesPerSecond);
    this.#requests = new RequestClient({
      dialer: this.#dialer,
      agent: this.#agents.requests,
      limits: this.#limits,
    });
    this.bootstrap = new HttpBootstrapClient(this.#dialer, this.#agents.requests, this.#limits);
    const handler = (): PeerHandler | null => this.#running?.handler ?? null;
    this.#server = new PeerServer({
      self,
      authenticator,
      limits: this.#limits,
      problems: this.#problems,
      blockedPaths: options.blockedPaths ?? new Set(),
      knownIncarnation: (id) => this.#links.get(id)?.incarnation ?? null,
      routes: [
        ...messageRoutes({ limits: this.#limits, link: (id) => this.#linkOfAsker(id) }),
        requestRoute({ limits: this.#limits, handler }),
        snapshotRoute({ bucket: this.#bucket, handler }),
        ...bootstrapRoutes({
          limits: this.#limits,
          logger: this.#logger,
          handler: () => this.#bootstrapHandler,
        }),
      ],
    });
  }

  /** Opens the port and serves the first start. Rejects with the system's error, such as EADDRINUSE. */
  listen(bootstrap: BootstrapHandler): Promise<AddressInfo> {
    this.#bootstrapHandler = bootstrap;
    return this.#server.listen(this.#options.listen);
  }

  /** This member belongs to that cluster now, and for ever: dials its peers and takes what they send. */
  start(clusterId: string, handler: PeerHandler): void {
    if (this.#running !== null || this.#isStopped) throw new Error("a peer network is started once");
    this.#clusterId = clusterId;
    // The work is left to the turn after the timers, so that what has arrived during a stall is read first.
    const heartbeat = setInterval(() => setImmediate(() => this.#tick()), this.#limits.linkHeartbeatMs);
    this.#running = { handler, heartbeat };
    this.#connect();
  }

  /** Ends everything. Requests and transfers that are under way end with an outcome before this resolves. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#running?.heartbeat);
    this.#running = null;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    for (const fetch of this.#fetches) fetch.stop("this member is stopping");
    this.#fetches.clear();
    this.#requests.stop();
    this.#bucket.stop();
    await this.#server.close();
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  send(message: Message): void {
    this.#links.get(message.to)?.send(message);
  }

  request(to: NodeId, request: PeerRequest, timeoutMs: number, done: (outcome: PeerOutcome) => void): void {
    const target = this.#links.get(to)?.target ?? null;
    if (target !== null) return this.#requests.ask(target, request, timeoutMs, done);
    const reason =
      this.#running === null ? "this member is starting or stopping" : `the address of ${to} is unknown`;
    setImmediate(() => done({ kind: "notSent", reason }));
  }

  setPeers(members: readonly Member[], at: EntryId = noEntry): void {
    this.#members = members.length === 0 ? null : members;
    this.#membershipAt = at;
    this.#connect();
  }

  fetchSnapshot(
    from: NodeId,
    meta: SnapshotMeta,
    onChunk: (chunk: Uint8Array, taken: StorageDone) => void,
    done: (failure: { readonly message: string } | null) => void,
  ): void {
    const fetch = new SnapshotFetch({
      dialer: this.#dialer,
      agent: this.#agents.snapshots,
      limits: this.#limits,
      id: meta.id,
      target: () => this.#links.get(from)?.target ?? memberIn(meta, from),
      onChunk,
      done: (failure) => {
        this.#fetches.delete(fetch);
        done(failure);
      },
    });
    this.#fetches.add(fetch);
    fetch.start();
  }

  connection(id: NodeId): { readonly connected: boolean; readonly version: string | null } {
    const link = this.#links.get(id);
    return { connected: link?.isConnected ?? false, version: link?.version ?? null };
  }

  /** One row for each peer, sorted by id, members that no membership names included while they are connected. */
  stats(): readonly PeerStats[] {
    const rows = [...this.#links.values()].map((link) => link.stats());
    return rows.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  }

  #identity(): Identity {
    const { self, protocol } = this.#options;
    return {
      ...self,
      clusterId: this.#clusterId,
      membershipAt: this.#membershipAt,
      protocol: protocol ?? protocolRange,
    };
  }

  /** Makes the links be those of the membership, or of the configured list while there is none. */
  #connect(): void {
    if (this.#running === null) return;
    const wanted = new Map(this.#wantedPeers().map((peer) => [peer.id, peer]));
    for (const [id, link] of this.#links) {
      const peer = wanted.get(id);
      // One that the membership did not know before, and does not know now, goes on being answered.
      if (peer === undefined ? link.target === null : link.isOf(peer.incarnation)) continue;
      link.close();
      this.#links.delete(id);
    }
    for (const peer of wanted.values()) (this.#links.get(peer.id) ?? this.#newLink(peer.id)).update(peer);
  }

  #wantedPeers(): readonly {
    readonly id: NodeId;
    readonly incarnation: string | null;
    readonly urls: readonly string[];
  }[] {
    const { self, peers } = this.#options;
    const configured = new Map(peers.map(({ id, peerUrl }) => [id, peerUrl]));
    const known = this.#members ?? peers.map(({ id, peerUrl }) => ({ id, peerUrl, incarnation: null }));
    return known
      .filter(({ id }) => id !== self.id)
      .map(({ id, incarnation, peerUrl }) => ({
        id,
        incarnation,
        urls: [configured.get(id) ?? peerUrl, peerUrl],
      }));
  }

  #newLink(id: NodeId): PeerLink {
    if (this.#running === null) throw new Error("links exist only while the network runs");
    const link = new PeerLink(id, {
      self: this.#options.self.id,
      dialer: this.#dialer,
      agents: this.#agents,
      limits: this.#limits,
      handler: this.#running.handler,
      problems: this.#problems,
      logger: this.#logger,
    });
    this.#links.set(id, link);
    return link;
  }

  /**
   * Members of the same cluster are let in under any id: this member's membership may be behind, and a member that was removed has to be told.
   */
  #linkOfAsker(id: NodeId): PeerLink | null {
    const link = this.#links.get(id);
    if (link !== undefined) return link;
    if (this.#running === null || id === this.#options.self.id) return null;
    const strangers = [...this.#links.values()].filter((other) => other.target === null);
    return strangers.length < this.#limits.strangersMax ? this.#newLink(id) : null;
  }

  #tick(): void {
    for (const link of this.#links.values()) {
      link.tick();
      if (link.target === null && !link.hasOutgoingStream) {
        link.close();
        this.#links.delete(link.id);
      }
    }
    for (const fetch of this.#fetches) fetch.tick();
  }
}

/**
 * Where the snapshot itself says that a member is: whoever joins a cluster whose log no longer reaches back to its beginning knows no
 * membership before it has the snapshot.
 */
function memberIn({ membership }: SnapshotMeta, id: NodeId): DialTarget | null {
  const member = membership.members.find((one) => one.id === id);
  return member === undefined ? null : { id, incarnation: member.incarnation, url: member.peerUrl };
}

/** What goes into headers must fit there; found out here rather than at the first connection. */
function mustBeWords({ self }: PeerNetworkOptions): void {
  for (const [name, value] of Object.entries(self)) {
    if (!isWord(value)) {
      throw new RangeError(
        `this member's ${name} ${JSON.stringify(value)} must be 1 to 128 printable ASCII characters`,
      );
    }
  }
}
