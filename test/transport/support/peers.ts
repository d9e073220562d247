// Peer networks on free ports of this machine, with handlers that write down what they hear.

import { afterEach } from "vitest";
import { loggerTo } from "../../../src/observability/logger.ts";
import type { Append, Heartbeat, Message } from "../../../src/raft/messages.ts";
import type { Member, NodeId, SnapshotMeta } from "../../../src/raft/types.ts";
import type { BootstrapHandler } from "../../../src/replica/bootstrap-port.ts";
import type { PeerHandler, PeerOutcome, PeerReply, PeerRequest } from "../../../src/replica/ports.ts";
import { HttpPeerNetwork, type PeerNetworkOptions } from "../../../src/transport/http-peer-network.ts";
import type { TransportLimits } from "../../../src/transport/limits.ts";

export const clusterId = "9f3a5c1e00000000";

/** Impatient, so that what takes seconds in production takes moments here. */
export const quickLimits: Partial<TransportLimits> = {
  linkHeartbeatMs: 50,
  backoffFirstMs: 5,
  backoffMaxMs: 40,
  answerTimeoutMs: 2000,
};

/** Writes down what comes; answers what it was told to. */
export class RecordingHandler implements PeerHandler {
  readonly messages: Message[] = [];
  readonly lost: NodeId[] = [];
  readonly unreachables: NodeId[] = [];
  readonly requests: { readonly from: NodeId; readonly request: PeerRequest }[] = [];
  onRequest: (request: PeerRequest, reply: (reply: PeerReply) => void) => void = (_, reply) =>
    reply({ kind: "unknown" });
  onReadSnapshot: PeerHandler["readSnapshot"] = (_id, _position, done) => done(undefined);

  receive(message: Message): void {
    this.messages.push(message);
  }

  answer(from: NodeId, request: PeerRequest, reply: (reply: PeerReply) => void): void {
    this.requests.push({ from, request });
    this.onRequest(request, reply);
  }

  readSnapshot(id: string, position: number, done: (chunk: Uint8Array | null | undefined) => void): void {
    this.onReadSnapshot(id, position, done);
  }

  streamLost(id: NodeId): void {
    this.lost.push(id);
  }

  unreachable(id: NodeId): void {
    this.unreachables.push(id);
  }
}

export interface TestPeer {
  readonly id: NodeId;
  readonly network: HttpPeerNetwork;
  readonly handler: RecordingHandler;
  readonly member: Member;
  readonly port: number;
  /** What it logged at info or above: "level message: reason". */
  readonly log: string[];
  stop(): Promise<void>;
}

export type PeerSettings = Partial<Omit<PeerNetworkOptions, "self" | "logger" | "listen">> & {
  readonly incarnation?: string;
  readonly clusterId?: string | null;
  readonly port?: number;
  readonly bootstrap?: BootstrapHandler;
};

const running = new Set<HttpPeerNetwork>();

afterEach(async () => {
  await Promise.all([...running].map((network) => network.stop()));
  running.clear();
});

/** Listens, and has started unless `clusterId` is null. It knows no peers: see `introduce`. */
export async function startPeer(id: NodeId, settings: PeerSettings = {}): Promise<TestPeer> {
  const incarnation = settings.incarnation ?? `${id}-first`;
  const log: string[] = [];
  const network = new HttpPeerNetwork({
    self: { id, incarnation, version: "0.0.1" },
    listen: { host: "127.0.0.1", port: settings.port ?? 0 },
    peers: settings.peers ?? [],
    secret: settings.secret ?? null,
    logger: loggerTo({ write: (line) => log.push(retold(line)) }, { level: "info", fields: {} }),
    limits: { ...quickLimits, ...settings.limits },
    ...(settings.blockedPaths === undefined ? {} : { blockedPaths: settings.blockedPaths }),
    ...(settings.protocol === undefined ? {} : { protocol: settings.protocol }),
  });
  running.add(network);
  const { port } = await network.listen(settings.bootstrap ?? emptyBootstrap(id, incarnation));
  const handler = new RecordingHandler();
  const cluster = settings.clusterId === undefined ? clusterId : settings.clusterId;
  if (cluster !== null) network.start(cluster, handler);
  const url = `http://127.0.0.1:${port}`;
  const member = { id, incarnation, peerUrl: url, clientUrl: "http://127.0.0.1:1" };
  const stop = async (): Promise<void> => {
    running.delete(network);
    await network.stop();
  };
  return { id, network, handler, member, port, log, stop };
}

/** Tells each of them that all of them are the membership. */
export function introduce(...peers: readonly TestPeer[]): void {
  for (const { network } of peers) network.setPeers(peers.map(({ member }) => member));
}

/** Whether each has its control stream from each other one. */
export function areConnected(...peers: readonly TestPeer[]): boolean {
  return peers.every(({ network, id }) =>
    peers.every((other) => other.id === id || network.connection(other.id).connected),
  );
}

export function heartbeat(from: NodeId, to: NodeId, round: number): Heartbeat {
  return {
    type: "heartbeat",
    from,
    to,
    term: 1,
    commit: 0,
    leaderCommit: 0,
    leaderAgeMs: 0,
    round,
    recoveryIndex: 0,
  };
}

/** An Append of one entry with so many bytes of payload. */
export function append(from: NodeId, to: NodeId, index: number, payloadBytes = 16): Append {
  const payload = new Uint8Array(payloadBytes).fill(index % 256);
  return {
    type: "append",
    from,
    to,
    term: 1,
    previous: { term: index === 1 ? 0 : 1, index: index - 1 },
    entries: [{ kind: "command", term: 1, index, clusterTime: index, payload }],
    commit: 0,
  };
}

export function rounds(handler: RecordingHandler): readonly number[] {
  return handler.messages.flatMap((message) => (message.type === "heartbeat" ? [message.round] : []));
}

export function appendIndexes(handler: RecordingHandler): readonly number[] {
  return handler.messages.flatMap((message) =>
    message.type === "append" ? message.entries.map(({ index }) => index) : [],
  );
}

export function ask(
  from: TestPeer,
  to: NodeId,
  request: PeerRequest = { kind: "clusterStatus" },
  timeoutMs = 5000,
): Promise<PeerOutcome> {
  return new Promise((resolve) => from.network.request(to, request, timeoutMs, resolve));
}

export function snapshotMeta(id: string): SnapshotMeta {
  const membership = { voters: [], outgoing: [], learners: [], members: [] };
  return { id, last: { term: 1, index: 9 }, clusterTime: 0, membership, membershipIndex: 1, lastGraceAt: -1 };
}

function emptyBootstrap(memberId: NodeId, incarnation: string): BootstrapHandler {
  return {
    identity: () => ({
      memberId,
      incarnation,
      peerUrl: "http://127.0.0.1:1",
      clientUrl: "http://127.0.0.1:1",
      clusterId: null,
      promisedClusterId: null,
      membership: null,
      membershipIndex: 0,
    }),
    promise: () => Promise.resolve({ promised: true, incarnation }),
  };
}

function retold(line: string): string {
  const { level, msg, reason } = JSON.parse(line) as { level: string; msg: string; reason?: string };
  return reason === undefined ? `${level} ${msg}` : `${level} ${msg}: ${reason}`;
}
