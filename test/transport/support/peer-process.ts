// A member of the network alone in a process of its own, so that it can be killed or paused. Told what to do by JSON in its first argument;
// prints "listening PORT" and then a line for each request that reaches its handler. Ends by itself when its input ends: nothing may keep it alive.

import { silentLogger } from "../../../src/observability/logger.ts";
import type { Member } from "../../../src/raft/types.ts";
import { HttpPeerNetwork } from "../../../src/transport/http-peer-network.ts";
import type { TransportLimits } from "../../../src/transport/limits.ts";

export interface PeerProcessSettings {
  readonly id: string;
  readonly clusterId: string;
  readonly members: readonly Member[];
  readonly limits: Partial<TransportLimits>;
}

const settings = JSON.parse(process.argv[2] ?? "{}") as PeerProcessSettings;
const { id, clusterId, members, limits } = settings;
const incarnation = `${id}-first`;

const network = new HttpPeerNetwork({
  self: { id, incarnation, version: "0.0.1" },
  listen: { host: "127.0.0.1", port: 0 },
  peers: [],
  secret: null,
  logger: silentLogger,
  limits,
});
const identity = {
  memberId: id,
  incarnation,
  peerUrl: "",
  clientUrl: "",
  clusterId: null,
  promisedClusterId: null,
};
const { port } = await network.listen({
  identity: () => ({ ...identity, membership: null, membershipIndex: 0 }),
  promise: () => Promise.resolve({ promised: true, incarnation }),
});
network.setPeers(members);
network.start(clusterId, {
  receive: () => {},
  readSnapshot: (_id, _position, done) => done(undefined),
  streamLost: () => {},
  unreachable: () => {},
  answer: (from, request, reply) => {
    process.stdout.write(`asked by ${from}: ${request.kind}\n`);
    // Whoever asks for watches waits for ever.
    if (request.kind !== "awaitWatches") reply({ kind: "unknown" });
  },
});
process.stdout.write(`listening ${port}\n`);

process.stdin.resume();
process.stdin.on("end", () => void network.stop());
