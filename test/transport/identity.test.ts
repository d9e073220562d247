// Who is let in, who is refused, and in which words.

import fc from "fast-check";
import { expect, test } from "vitest";
import { serverOptions } from "../../src/transport/peer-server.ts";
import { commonProtocol, readHandshake, handshakeHeaders } from "../../src/transport/handshake.ts";
import { Authenticator } from "../../src/transport/authenticator.ts";
import { encodeFrame } from "../../src/transport/frames.ts";
import { messageFrame } from "../../src/transport/stream-frames.ts";
import { noEntry, type Member } from "../../src/raft/types.ts";
import { eventually } from "./support/eventually.ts";
import {
  areConnected,
  ask,
  clusterId,
  heartbeat,
  introduce,
  rounds,
  startPeer,
  type PeerSettings,
  type TestPeer,
} from "./support/peers.ts";
import { call, handshakeOf, headersOf, startImpostor } from "./support/raw.ts";

const secret = "a secret of the cluster";

function heard(...peers: readonly TestPeer[]): boolean {
  return peers.every(({ handler }) => rounds(handler).length > 0);
}

/** n1 dials somebody who calls itself n2 at a certain address; the sentence is what n1's operator reads. */
const mismatches: readonly {
  readonly what: string;
  readonly n1?: PeerSettings;
  readonly other: PeerSettings & { readonly id?: string };
  readonly membershipHolds?: string;
  readonly sentence: string;
}[] = [
  {
    what: "another cluster",
    other: { clusterId: "77c1aa0000000000" },
    sentence:
      "refused by n2 at ADDRESS: it belongs to cluster 77c1aa00..., this member to cluster 9f3a5c1e...",
  },
  {
    what: "a member without a cluster",
    other: { clusterId: null },
    sentence: "refused by n2 at ADDRESS: it belongs to no cluster yet, this member to cluster 9f3a5c1e...",
  },
  {
    what: "another member behind the address",
    other: { id: "n3" },
    sentence: "refused by n2 at ADDRESS: it is member n3, not n2: check the list of members",
  },
  {
    what: "another incarnation of the member",
    other: { incarnation: "5d5d5d5d11111111" },
    membershipHolds: "e0e0e0e022222222",
    sentence:
      "refused by n2 at ADDRESS: it is incarnation 5d5d5d5d... of n2, and the membership holds e0e0e0e0...: its data folder was replaced",
  },
  {
    what: "no common protocol version",
    other: { protocol: { min: 2, max: 4 } },
    sentence:
      "refused by n2 at ADDRESS: it speaks protocol versions 2 to 4, this member 1: upgrade the older one",
  },
  {
    what: "no secret here, one there",
    other: { secret },
    sentence:
      "refused by n2 at ADDRESS: it does not accept this member's proof of the peer secret: all members must have the same secret, or none",
  },
  {
    what: "another secret",
    n1: { secret: "another secret, long enough" },
    other: { secret },
    sentence:
      "refused by n2 at ADDRESS: it does not accept this member's proof of the peer secret: all members must have the same secret, or none",
  },
  {
    what: "a secret here, none there",
    n1: { secret },
    other: {},
    sentence:
      "refused by n2 at ADDRESS: it does not accept this member's proof of the peer secret: all members must have the same secret, or none",
  },
];

test.each(mismatches)(
  "$what: refused with a sentence, told once",
  async ({ n1: settings, other, membershipHolds, sentence }) => {
    const n1 = await startPeer("n1", settings);
    const answerer = await startPeer(other.id ?? "n2", other);
    const told = sentence.replace("ADDRESS", `127.0.0.1:${answerer.port}`);
    const incarnation = membershipHolds ?? answerer.member.incarnation;
    n1.network.setPeers([n1.member, { ...answerer.member, id: "n2", incarnation }]);
    n1.network.send(heartbeat("n1", "n2", 1));

    await eventually("it is told", () => n1.log.length > 0);
    // Every attempt posts a heartbeat, and so many attempts end the same way.
    for (let attempts = 0; attempts < 5; attempts += 1) {
      const before = n1.handler.unreachables.length;
      await eventually("another attempt fails", () => {
        n1.network.send(heartbeat("n1", "n2", 1));
        return n1.handler.unreachables.length > before;
      });
    }
    expect(n1.log).toEqual([`warn cannot talk to a peer: ${told}`]);
    expect(n1.network.stats()[0]?.problems).toEqual([told]);
    expect(answerer.handler.messages).toEqual([]);
    expect(n1.network.connection("n2")).toEqual({ connected: false, version: null });
  },
);

test("an incarnation that the membership does not hold is refused, and the asker reads why", async () => {
  const n1 = await startPeer("n1");
  const wiped = await startPeer("n2", { incarnation: "0badcafe00000000" });
  n1.network.setPeers([{ ...wiped.member, incarnation: "e0e0e0e022222222" }]);
  wiped.network.setPeers([n1.member]);
  wiped.network.send(heartbeat("n2", "n1", 1));
  const sentence =
    "the membership holds incarnation e0e0e0e0... of n2, and this member is 0badcafe...: its data folder was replaced";
  await eventually("it reads why", () => wiped.log.join().includes(sentence));
  expect(n1.handler.messages).toEqual([]);
});

test("a member whose membership is older believes one that was replaced since, and keeps its streams when it learns of it", async () => {
  const n1 = await startPeer("n1");
  const replaced = await startPeer("n2", { incarnation: "5d5d5d5d11111111" });
  const old: Member = { ...replaced.member, incarnation: "e0e0e0e022222222" };
  n1.network.setPeers([old], { term: 3, index: 7 });
  replaced.network.setPeers([n1.member], { term: 3, index: 12 });
  await eventually("both are connected", () => areConnected(n1, replaced));
  n1.network.send(heartbeat("n1", "n2", 1));
  replaced.network.send(heartbeat("n2", "n1", 2));
  await eventually("messages go both ways", () => heard(n1, replaced));
  expect(await ask(n1, "n2")).toMatchObject({ kind: "reply" });
  expect(await ask(replaced, "n1")).toMatchObject({ kind: "reply" });

  n1.network.setPeers([replaced.member], { term: 3, index: 12 });
  expect(await ask(n1, "n2")).toMatchObject({ kind: "reply" });
  expect(n1.handler.lost).toEqual([]);
  expect(replaced.handler.lost).toEqual([]);
});

test("of two memberships the one of the later term counts, as of two logs, however long the other is", async () => {
  const n1 = await startPeer("n1");
  const replaced = await startPeer("n2", { incarnation: "5d5d5d5d11111111" });
  // Appended by a leader that was cut off, and never committed.
  n1.network.setPeers([{ ...replaced.member, incarnation: "e0e0e0e022222222" }], { term: 3, index: 99 });
  replaced.network.setPeers([n1.member], { term: 4, index: 12 });
  await eventually("both are connected", () => areConnected(n1, replaced));
  expect([n1, replaced].map(({ network }) => network.stats()[0]?.problems)).toEqual([[], []]);
});

test.each([
  { what: "an older membership", at: { term: 3, index: 11 } },
  { what: "the same membership", at: { term: 3, index: 12 } },
  { what: "a longer log of an earlier term", at: { term: 2, index: 99 } },
  { what: "no membership", at: noEntry },
])("the old incarnation of a replaced member is refused when it comes back with $what", async ({ at }) => {
  const n1 = await startPeer("n1");
  const returned = await startPeer("n2", { incarnation: "e0e0e0e022222222" });
  n1.network.setPeers([{ ...returned.member, incarnation: "5d5d5d5d11111111" }], { term: 3, index: 12 });
  returned.network.setPeers([n1.member], at);
  returned.network.send(heartbeat("n2", "n1", 1));
  await eventually("each reads why", () =>
    [n1, returned].every(({ log }) => log.join().includes("its data folder was replaced")),
  );
  expect(n1.handler.messages).toEqual([]);
  expect(n1.network.connection("n2").connected).toBe(false);
});

test.each([
  {
    what: "of another cluster",
    settings: { clusterId: "77c1aa0000000000" },
    why: "it belongs to cluster 77c1aa00",
  },
  {
    what: "without the secret",
    settings: { secret: "another secret, long enough" },
    why: "does not accept this member's proof",
  },
])("nobody $what is believed, however late its membership", async ({ settings, why }) => {
  const n1 = await startPeer("n1", { secret });
  const other = await startPeer("n2", { secret, incarnation: "5d5d5d5d11111111", ...settings });
  n1.network.setPeers([{ ...other.member, incarnation: "e0e0e0e022222222" }], { term: 3, index: 7 });
  other.network.setPeers([n1.member], { term: 9, index: 99 });
  other.network.send(heartbeat("n2", "n1", 1));
  await eventually("n1 reads why", () => n1.log.join().includes(why));
  expect(n1.handler.messages).toEqual([]);
  expect(other.handler.messages).toEqual([]);
});

test("a member that is connected under an incarnation which the membership turns out not to hold loses its streams", async () => {
  const n1 = await startPeer("n1");
  const n2 = await startPeer("n2", { peers: [{ id: "n1", peerUrl: n1.member.peerUrl }] });
  n1.network.setPeers([n2.member]);
  await eventually("both are connected", () => areConnected(n1, n2));
  n2.network.setPeers([{ ...n1.member, incarnation: "another" }]);
  await eventually("n2 refuses it", () => n2.log.join().includes("and the membership holds another"));
  expect(n2.network.connection("n1").connected).toBe(false);
});

test("members with the same secret talk", async () => {
  const [n1, n2] = [await startPeer("n1", { secret }), await startPeer("n2", { secret })];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  n1.network.send(heartbeat("n1", "n2", 1));
  await eventually("it arrives", () => rounds(n2.handler).length > 0);
  expect(rounds(n2.handler)).toEqual([1]);
});

test("with a secret, a message without its proof is refused before it is decoded", async () => {
  const n1 = await startPeer("n1", { secret });
  // Would be answered with 400 if anybody looked into it.
  const garbage = encodeFrame(Uint8Array.of(0xc1));
  const path = "/peer/messages";
  const attempts = [
    headersOf(handshakeOf(), "POST", path),
    headersOf(handshakeOf(), "POST", path, "a wrong secret, long enough"),
    // A proof for something else.
    headersOf(handshakeOf(), "GET", path, secret),
    headersOf(handshakeOf(), "POST", "/peer/request", secret),
    { ...headersOf(handshakeOf(), "POST", path, secret), "rollcall-from": "n8" },
    { ...headersOf(handshakeOf(), "POST", path, secret), "rollcall-nonce": "another" },
    { ...headersOf(handshakeOf(), "POST", path, secret), "rollcall-proof": "" },
  ];
  for (const headers of attempts) {
    const { status, body } = await call(n1.port, { method: "POST", path, headers, body: garbage });
    expect({ status, body }).toMatchObject({ status: 403, body: expect.stringContaining("unauthenticated") });
  }
  const proven = headersOf(handshakeOf(), "POST", path, secret);
  expect((await call(n1.port, { method: "POST", path, headers: proven, body: garbage })).status).toBe(400);
});

test("a stranger without proof learns nothing about the member", async () => {
  const n1 = await startPeer("n1", { secret });
  const headers = headersOf(handshakeOf({ toId: "n2" }), "GET", "/peer/identity");
  const answer = await call(n1.port, { method: "GET", path: "/peer/identity", headers });
  expect(answer.status).toBe(403);
  expect(JSON.stringify(answer)).not.toContain(clusterId);
  expect(JSON.stringify(answer)).not.toContain("n1-first");
});

test("a secret under 16 characters is refused at once", () => {
  expect(() => new Authenticator("fifteen letters")).toThrow("has 15 characters, and at least 16 are needed");
});

const refusals = [
  {
    what: "a place of a membership that is none",
    path: "/peer/identity",
    headers: { ...headersOf(handshakeOf(), "GET", "/"), "rollcall-membership": "3" },
    status: 400,
  },
  { what: "no handshake", path: "/peer/identity", headers: {}, status: 400 },
  { what: "an unknown route", path: "/v1/services", headers: {}, status: 404 },
  {
    what: "a header with what no name contains",
    path: "/peer/identity",
    headers: { ...headersOf(handshakeOf(), "GET", "/"), "rollcall-from": "n 9" },
    status: 400,
  },
  {
    what: "a name of 129 characters",
    path: "/peer/identity",
    headers: headersOf(handshakeOf({ id: "n".repeat(129) }), "GET", "/"),
    status: 400,
  },
  {
    what: "a protocol range that is none",
    path: "/peer/identity",
    headers: { ...headersOf(handshakeOf(), "GET", "/"), "rollcall-protocol": "one" },
    status: 400,
  },
  {
    what: "an unknown channel",
    path: "/peer/stream?channel=gossip",
    headers: headersOf(handshakeOf(), "GET", "/"),
    status: 400,
  },
  {
    what: "headers of 10 KiB",
    path: "/peer/identity",
    headers: { "x-padding": "x".repeat(10_240) },
    status: 431,
  },
] as const;

test.each(refusals)("$what is answered with $status", async ({ path, headers, status }) => {
  const n1 = await startPeer("n1");
  expect((await call(n1.port, { method: "GET", path, headers })).status).toBe(status);
});

test("a server that is no member is refused in a sentence", async () => {
  const n1 = await startPeer("n1");
  const { url } = await startImpostor({ id: "n2", incarnation: "bad word" }, (_, response) => response.end());
  n1.network.setPeers([{ id: "n2", incarnation: "x", clientUrl: "http://c", peerUrl: url }]);
  await eventually("it is told", () => n1.log.length > 0);
  expect(n1.log.join()).toContain("is not the member that was meant: whoever answered there is no member");
});

test.each(["https://n2:1", "n2:7501", "", "http://"])(
  "the address %j cannot be dialled, and that is said",
  async (peerUrl) => {
    const n1 = await startPeer("n1");
    n1.network.setPeers([{ id: "n2", incarnation: "x", clientUrl: "http://c", peerUrl }]);
    await eventually("it is told", () => n1.log.length > 0);
    expect(n1.log.join()).toContain(`${JSON.stringify(peerUrl)} is not of the form http://HOST:PORT`);
  },
);

test("an answer without proof is not believed, and nothing in it is decoded", async () => {
  const n1 = await startPeer("n1", { secret });
  const { url } = await startImpostor({ id: "n2" }, (_, response) =>
    response.write(messageFrame(heartbeat("n2", "n1", 1))),
  );
  n1.network.setPeers([{ id: "n2", incarnation: "n9-first", clientUrl: "http://c", peerUrl: url }]);
  await eventually("it is told", () =>
    n1.log.join().includes("it did not prove that it knows the peer secret"),
  );
  expect(n1.handler.messages).toEqual([]);
  // What became of a request is unknown: whoever answered may have handled it.
  expect(await ask(n1, "n2")).toMatchObject({ kind: "broken" });
});

test("a handshake survives its headers", () => {
  const word = fc.stringMatching(/^[\x21-\x7e]{1,128}$/).filter((text) => text !== "-");
  const version = fc.nat({ max: 999_999 });
  const handshake = fc.record({
    id: word,
    incarnation: word,
    version: word,
    toId: word,
    clusterId: fc.option(word),
    toIncarnation: fc.option(word),
    protocol: fc.record({ min: version, max: version }),
    membershipAt: fc.record({ term: version, index: version }),
  });
  fc.assert(
    fc.property(handshake, (sent) => {
      expect(readHandshake(handshakeHeaders(sent))).toEqual(sent);
    }),
  );
});

const ranges = [
  { one: { min: 1, max: 1 }, other: { min: 1, max: 1 }, common: 1 },
  { one: { min: 1, max: 3 }, other: { min: 2, max: 5 }, common: 3 },
  { one: { min: 2, max: 5 }, other: { min: 1, max: 3 }, common: 3 },
  { one: { min: 1, max: 2 }, other: { min: 3, max: 4 }, common: null },
  { one: { min: 3, max: 4 }, other: { min: 1, max: 2 }, common: null },
] as const;

test.each(ranges)("of $one and $other the common version is $common", ({ one, other, common }) => {
  expect(commonProtocol(one, other)).toBe(common);
});

test("members with overlapping protocol ranges talk", async () => {
  const [n1, n2] = [
    await startPeer("n1", { protocol: { min: 1, max: 1 } }),
    await startPeer("n2", { protocol: { min: 1, max: 2 } }),
  ];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  expect(n1.network.stats()[0]?.problems).toEqual([]);
});

test("a message in another member's name ends the connection that brought it", async () => {
  const n1 = await startPeer("n1");
  const headers = headersOf(handshakeOf(), "POST", "/peer/messages");
  const body = messageFrame(heartbeat("n8", "n1", 1));
  const answer = await call(n1.port, { method: "POST", path: "/peer/messages", headers, body });
  expect(answer).toMatchObject({
    status: 400,
    body: expect.stringContaining("from n8 to n1 came from n9 to n1"),
  });
  expect(n1.handler.messages).toEqual([]);
});

test("no timer of Node's ends a body or a stream that goes on", () => {
  // Node's default of 5 minutes would end long requests with 408, and 5 s of keep-alive would race with askers that reuse connections.
  expect(serverOptions).toMatchObject({ requestTimeout: 0, keepAliveTimeout: 65_000, noDelay: true });
  expect(serverOptions.headersTimeout).toBeLessThanOrEqual(5000);
});
