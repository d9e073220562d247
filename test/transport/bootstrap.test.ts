// The questions of a cluster's first start, between members that may belong to no cluster yet.

import { expect, test } from "vitest";
import type { Membership } from "../../src/raft/types.ts";
import type {
  BootstrapHandler,
  BootstrapIdentity,
  PromiseAnswer,
  PromiseQuestion,
} from "../../src/replica/bootstrap-port.ts";
import { startPeer, type TestPeer } from "./support/peers.ts";
import { call, handshakeOf, headersOf } from "./support/raw.ts";

const membership: Membership = {
  voters: ["n1", "n2"],
  outgoing: [],
  learners: [],
  members: [
    { id: "n1", incarnation: "a", peerUrl: "http://p1", clientUrl: "http://c1" },
    { id: "n2", incarnation: "b", peerUrl: "http://p2", clientUrl: "http://c2" },
  ],
};

const identity: BootstrapIdentity = {
  memberId: "n2",
  incarnation: "n2-first",
  peerUrl: "http://p2",
  clientUrl: "http://c2",
  clusterId: null,
  promisedClusterId: "77c1",
  membership: null,
  membershipIndex: 0,
};

const question: PromiseQuestion = {
  clusterId: "77c1",
  minter: { id: "n1", incarnation: "n1-first" },
  replaces: null,
  members: [
    { id: "n1", peerUrl: "http://p1" },
    { id: "n2", peerUrl: "http://p2" },
  ],
};

function answering(
  answer: () => Promise<PromiseAnswer>,
  who = identity,
): BootstrapHandler & { asked: PromiseQuestion[] } {
  const asked: PromiseQuestion[] = [];
  const promise = (asking: PromiseQuestion): Promise<PromiseAnswer> => {
    asked.push(asking);
    return answer();
  };
  return { asked, identity: () => who, promise };
}

async function startBlank(bootstrap: BootstrapHandler): Promise<{ n1: TestPeer; n2: TestPeer }> {
  const n1 = await startPeer("n1", { clusterId: null });
  const n2 = await startPeer("n2", { clusterId: null, bootstrap });
  return { n1, n2 };
}

test.each<BootstrapIdentity>([
  identity,
  { ...identity, clusterId: "77c1", promisedClusterId: null, membership, membershipIndex: 1 },
])("a member says who it is (cluster $clusterId)", async (who) => {
  const { n1, n2 } = await startBlank(answering(() => Promise.reject(new Error("not asked")), who));
  const peer = { id: "n2", peerUrl: n2.member.peerUrl };
  expect(await n1.network.bootstrap.identity(peer)).toEqual({ kind: "answer", answer: who });
});

test.each<PromiseAnswer>([
  { promised: true, incarnation: "n2-first" },
  { promised: false, reason: "it is not empty" },
])("a promise is asked for, and answered", async (answer) => {
  const handler = answering(() => Promise.resolve(answer));
  const { n1, n2 } = await startBlank(handler);
  const peer = { id: "n2", peerUrl: n2.member.peerUrl };
  expect(await n1.network.bootstrap.promise(peer, question)).toEqual({ kind: "answer", answer });
  expect(handler.asked).toEqual([question]);
});

test("members of different clusters, or of none, still learn who the other is", async () => {
  const n1 = await startPeer("n1", { clusterId: "77c1" });
  const n2 = await startPeer("n2", { clusterId: "9f3a" });
  const outcome = await n1.network.bootstrap.identity({ id: "n2", peerUrl: n2.member.peerUrl });
  expect(outcome).toMatchObject({ kind: "answer", answer: { memberId: "n2" } });
});

test("a member that is down is unreachable", async () => {
  const n1 = await startPeer("n1", { clusterId: null });
  const outcome = await n1.network.bootstrap.identity({ id: "n2", peerUrl: "http://127.0.0.1:1" });
  expect(outcome).toMatchObject({
    kind: "unreachable",
    reason: expect.stringContaining("connection refused"),
  });
});

test("another member behind the address refuses", async () => {
  const { n1, n2 } = await startBlank(answering(() => Promise.reject(new Error("not asked"))));
  const outcome = await n1.network.bootstrap.promise({ id: "n3", peerUrl: n2.member.peerUrl }, question);
  expect(outcome).toMatchObject({
    kind: "refused",
    reason: expect.stringContaining("it is member n2, not n3"),
  });
});

test("a member with another secret refuses", async () => {
  const n1 = await startPeer("n1", { clusterId: null, secret: "one secret of sixteen" });
  const n2 = await startPeer("n2", { clusterId: null, secret: "another secret of 16" });
  const outcome = await n1.network.bootstrap.identity({ id: "n2", peerUrl: n2.member.peerUrl });
  expect(outcome).toMatchObject({ kind: "refused", reason: expect.stringContaining("peer secret") });
});

test("a handler that fails is asked again later, and the member goes on", async () => {
  let failures = 1;
  const handler = answering(() => {
    failures -= 1;
    return failures === 0
      ? Promise.reject(new Error("disk"))
      : Promise.resolve({ promised: true, incarnation: "b" });
  });
  const { n1, n2 } = await startBlank(handler);
  const peer = { id: "n2", peerUrl: n2.member.peerUrl };
  const first = await n1.network.bootstrap.promise(peer, question);
  expect(first).toMatchObject({ kind: "unreachable", reason: expect.stringContaining("its log says why") });
  expect(n2.log.join()).toContain("could not answer a member that founds the cluster");
  expect(await n1.network.bootstrap.promise(peer, question)).toMatchObject({ kind: "answer" });
});

test.each([
  { what: "no JSON", body: "{", said: "the body is not JSON" },
  { what: "a list", body: "[]", said: "the body is not a map" },
  { what: "no cluster", body: JSON.stringify({ ...question, clusterId: null }), said: "a text as clusterId" },
  {
    what: "a member without an id",
    body: JSON.stringify({ ...question, members: [{}] }),
    said: "a text as id",
  },
])("a question that is malformed ($what) is refused", async ({ body, said }) => {
  const handler = answering(() => Promise.reject(new Error("not asked")));
  const { n2 } = await startBlank(handler);
  const path = "/peer/bootstrap/promise";
  const headers = headersOf(handshakeOf({ toId: "n2", clusterId: null }), "POST", path);
  const answer = await call(n2.port, { method: "POST", path, headers, body: Buffer.from(body) });
  expect(answer).toMatchObject({ status: 400, body: expect.stringContaining(said) });
  expect(handler.asked).toEqual([]);
});

test("a question over the limit is refused", async () => {
  const { n2 } = await startBlank(answering(() => Promise.reject(new Error("not asked"))));
  const path = "/peer/bootstrap/promise";
  const headers = headersOf(handshakeOf({ toId: "n2", clusterId: null }), "POST", path);
  const answer = await call(n2.port, { method: "POST", path, headers, body: new Uint8Array(256 * 1024 + 1) });
  expect(answer.status).toBe(413);
});
