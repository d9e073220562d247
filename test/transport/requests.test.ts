// Requests and replies between members: every kind survives, and every end is one of three outcomes.

import { expect, test } from "vitest";
import type { Failure } from "../../src/registry/commands.ts";
import type { PeerOutcome, PeerReply, PeerRequest } from "../../src/replica/ports.ts";
import { encodeBody } from "../../src/transport/codec.ts";
import { encodeFrame } from "../../src/transport/frames.ts";
import { PeerProtocolError } from "../../src/transport/protocol-error.ts";
import { decodeReply, decodeRequest, encodeReply, encodeRequest } from "../../src/transport/request-wire.ts";
import { freePorts } from "../support/free-ports.ts";
import { startChild } from "./support/child.ts";
import { eventually } from "./support/eventually.ts";
import { ask, introduce, startPeer, type TestPeer } from "./support/peers.ts";
import { call, handshakeOf, headersOf, startImpostor } from "./support/raw.ts";

const frameBytesMax = 100_000;

const failure: Failure = { ok: false, code: "superseded", detail: "no", revision: null };

const requests: readonly PeerRequest[] = [
  { kind: "propose", term: 7, budgetMs: 812.5, payload: Uint8Array.of(1, 2, 3) },
  {
    kind: "changeMembership",
    budgetMs: 0,
    change: { kind: "addLearner", id: "n4", incarnation: "f00", peerUrl: "http://p", clientUrl: "http://c" },
  },
  {
    kind: "changeMembership",
    budgetMs: 1,
    change: { kind: "readdress", id: "n4", incarnation: "f00", peerUrl: "http://p", clientUrl: "http://c" },
  },
  { kind: "changeMembership", budgetMs: 1, change: { kind: "promote", id: "n4" } },
  { kind: "changeMembership", budgetMs: 1, change: { kind: "remove", id: "n4" } },
  { kind: "transfer", to: "n2" },
  { kind: "transfer", to: null },
  { kind: "clusterStatus" },
  { kind: "awaitWatches", revision: 2 ** 50, budgetMs: 10 },
  { kind: "report", report: { writeMs: 0.25, roomIsShort: true, lateMs: 12.5, checkpoints: [] } },
];

const replies: readonly PeerReply[] = [
  { kind: "committed", term: 3, index: 2 ** 40, results: [failure] },
  { kind: "rejected", reason: "notLeader", leader: "n3" },
  { kind: "rejected", reason: "expired", leader: null },
  { kind: "unknown" },
  { kind: "done", index: 12 },
  {
    kind: "clusterStatus",
    members: [
      {
        id: "n1",
        reachable: true,
        lastContactMs: 1.5,
        matchIndex: 4,
        appliedIndex: 3,
        recovering: false,
        version: null,
      },
    ],
  },
  { kind: "watches", reached: false },
  {
    kind: "report",
    report: { writeMs: null, roomIsShort: false, lateMs: null, checkpoints: [{ index: 512, hash: "00ff" }] },
  },
];

test.each(requests)("a request survives the way: $kind", (request) => {
  const decoded = decodeRequest(encodeRequest(request), frameBytesMax);
  // The payload comes back as a Buffer.
  const payload = decoded.kind === "propose" ? { payload: Uint8Array.from(decoded.payload) } : {};
  expect({ ...decoded, ...payload }).toEqual(request);
});

test.each(replies)("a reply survives the way: $kind", (reply) => {
  expect(decodeReply(encodeReply(reply), frameBytesMax)).toEqual(reply);
});

const malformed: readonly { readonly value: unknown; readonly said: string }[] = [
  { value: null, said: "a request is not a map" },
  { value: [], said: "a request is not a map" },
  { value: Uint8Array.of(1), said: "a request is not a map" },
  { value: {}, said: "a request must have a text as kind" },
  { value: { kind: "toString" }, said: 'of kind "toString" is unknown here' },
  { value: { kind: "propose", term: -1, budgetMs: 1, payload: new Uint8Array() }, said: "as term" },
  { value: { kind: "propose", term: 1.5, budgetMs: 1, payload: new Uint8Array() }, said: "as term" },
  { value: { kind: "propose", term: 2 ** 53, budgetMs: 1, payload: new Uint8Array() }, said: "as term" },
  {
    value: { kind: "propose", term: 1, budgetMs: Number.NaN, payload: new Uint8Array() },
    said: "as budgetMs",
  },
  { value: { kind: "propose", term: 1, budgetMs: 1, payload: "text" }, said: "a byte string as payload" },
  { value: { kind: "transfer" }, said: "as to" },
  { value: { kind: "changeMembership", budgetMs: 1, change: [] }, said: "a request's change is not a map" },
  {
    value: { kind: "changeMembership", budgetMs: 1, change: { kind: "demote", id: "n1" } },
    said: '"demote"',
  },
];

test.each(malformed)("a malformed request is refused: $said", ({ value, said }) => {
  const bytes = encodeFrame(encodeBody(value));
  expect(() => decodeRequest(bytes, frameBytesMax)).toThrow(PeerProtocolError);
  expect(() => decodeRequest(bytes, frameBytesMax)).toThrow(said);
});

test.each([
  { value: { kind: "rejected", reason: "constructor", leader: null }, said: "one of notLeader" },
  { value: { kind: "committed", term: 1, index: 1, results: {} }, said: "a list as results" },
  { value: { kind: "clusterStatus", members: [3] }, said: "an item of members is not a map" },
  { value: { kind: "watches", reached: 1 }, said: "true or false as reached" },
  { value: { kind: "hello" }, said: '"hello"' },
])("a malformed reply is refused: $said", ({ value, said }) => {
  expect(() => decodeReply(encodeFrame(encodeBody(value)), frameBytesMax)).toThrow(said);
});

test("a request is answered by the peer's handler, which knows who asked", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  n2.handler.onRequest = (_, reply) => setImmediate(() => reply({ kind: "done", index: 41 }));
  const request: PeerRequest = { kind: "transfer", to: "n2" };
  expect(await ask(n1, "n2", request)).toEqual({ kind: "reply", reply: { kind: "done", index: 41 } });
  expect(n2.handler.requests).toEqual([{ from: "n1", request }]);
});

test("many requests at once are each answered with their own reply", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  const waiting: (() => void)[] = [];
  n2.handler.onRequest = (request, reply) => {
    const index = request.kind === "awaitWatches" ? request.revision : 0;
    waiting.push(() => reply({ kind: "done", index }));
    // All of them in the opposite order.
    if (waiting.length === 50) for (const answer of waiting.toReversed()) answer();
  };
  const numbers = Array.from({ length: 50 }, (_, number) => number);
  const outcomes = await Promise.all(
    numbers.map((revision) => ask(n1, "n2", { kind: "awaitWatches", revision, budgetMs: 1 })),
  );
  expect(outcomes).toEqual(numbers.map((index) => ({ kind: "reply", reply: { kind: "done", index } })));
});

test("an outcome never comes within the call", async () => {
  const n1 = await startPeer("n1");
  let isWithin = true;
  const outcome = new Promise<boolean>((resolve) => {
    n1.network.request("n7", { kind: "clusterStatus" }, 1000, () => resolve(isWithin));
  });
  isWithin = false;
  expect(await outcome).toBe(false);
});

function knows(n1: TestPeer, peerUrl: string): void {
  n1.network.setPeers([{ id: "n2", incarnation: "n9-first", clientUrl: "http://c", peerUrl }]);
}

const outcomes: readonly {
  readonly what: string;
  readonly kind: PeerOutcome["kind"];
  readonly reason: string;
  readonly run: (n1: TestPeer) => Promise<PeerOutcome>;
}[] = [
  {
    what: "a peer that nobody knows",
    kind: "notSent",
    reason: "the address of n2 is unknown",
    run: (n1) => ask(n1, "n2"),
  },
  {
    what: "a refused connection",
    kind: "notSent",
    reason: "connection refused",
    run: async (n1) => {
      const [port] = await freePorts(1);
      knows(n1, `http://127.0.0.1:${port}`);
      return ask(n1, "n2");
    },
  },
  {
    what: "an unknown host name",
    kind: "notSent",
    reason: "its host name",
    run: (n1) => {
      knows(n1, "http://no-such-host.invalid:7501");
      return ask(n1, "n2");
    },
  },
  {
    what: "a refusal by the other side",
    kind: "notSent",
    reason: "it belongs to cluster 77c1, this member to cluster 9f3a5c1e...",
    run: async (n1) => {
      const n2 = await startPeer("n2", { clusterId: "77c1" });
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2");
    },
  },
  {
    what: "a peer that has not started",
    kind: "notSent",
    reason: "it belongs to no cluster yet",
    run: async (n1) => {
      const n2 = await startPeer("n2", { clusterId: null });
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2");
    },
  },
  {
    what: "a blocked route",
    kind: "notSent",
    reason: "status 405",
    run: async (n1) => {
      const n2 = await startPeer("n2", { blockedPaths: new Set(["/peer/request"]) });
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2");
    },
  },
  {
    what: "a request over the frame limit",
    kind: "notSent",
    reason: "is over the limit of 8388608",
    run: async (n1) => {
      const n2 = await startPeer("n2");
      n1.network.setPeers([n2.member]);
      const payload = new Uint8Array(8 * 1024 * 1024);
      return ask(n1, "n2", { kind: "propose", term: 1, budgetMs: 1, payload });
    },
  },
  {
    what: "no reply in time",
    kind: "broken",
    reason: "no answer within 1000 ms",
    run: async (n1) => {
      const n2 = await startPeer("n2");
      n2.handler.onRequest = () => {};
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2", { kind: "clusterStatus" }, 1000);
    },
  },
  {
    what: "a peer that ends while it works on it",
    kind: "broken",
    reason: "the connection to n2",
    run: async (n1) => {
      const n2 = await startPeer("n2");
      n2.handler.onRequest = () => void n2.stop();
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2");
    },
  },
  {
    what: "a peer that is killed while it works on it",
    kind: "broken",
    reason: "the connection to n2",
    run: async (n1) => {
      const n2 = await startChild("n2", [n1.member]);
      n1.network.setPeers([n2.member]);
      const outcome = ask(n1, "n2", { kind: "awaitWatches", revision: 1, budgetMs: 1 });
      await eventually("it was asked", () => n2.lines.includes("asked by n1: awaitWatches"));
      n2.child.kill("SIGKILL");
      return outcome;
    },
  },
  {
    what: "a reply that breaks off",
    kind: "broken",
    reason: "the reply of n2 broke off",
    run: async (n1) => {
      const { url } = await startImpostor({ id: "n2" }, (path, response) => {
        if (path === "/peer/request") response.write("half", () => response.destroy());
      });
      knows(n1, url);
      return ask(n1, "n2");
    },
  },
  {
    what: "a reply that makes no sense",
    kind: "broken",
    reason: "cannot be read",
    run: async (n1) => {
      const { url } = await startImpostor({ id: "n2" }, (_, response) => response.end("nonsense"));
      knows(n1, url);
      return ask(n1, "n2");
    },
  },
  {
    what: "an answer by somebody else",
    kind: "broken",
    reason: "it is member n5, not n2",
    run: async (n1) => {
      const { url } = await startImpostor({ id: "n5" }, (_, response) => response.end());
      knows(n1, url);
      return ask(n1, "n2");
    },
  },
  {
    what: "a reply over the frame limit",
    kind: "broken",
    reason: "its reply of",
    run: async (n1) => {
      const n2 = await startPeer("n2", { limits: { frameBytesMax: 1000 } });
      const results = Array.from({ length: 100 }, () => failure);
      n2.handler.onRequest = (_, reply) => reply({ kind: "committed", term: 1, index: 1, results });
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2");
    },
  },
  {
    what: "this member's own end",
    kind: "broken",
    reason: "this member is stopping",
    run: async (n1) => {
      const n2 = await startPeer("n2");
      n2.handler.onRequest = () => void n1.stop();
      n1.network.setPeers([n2.member]);
      return ask(n1, "n2");
    },
  },
  {
    what: "a request after this member's end",
    kind: "notSent",
    reason: "this member is starting or stopping",
    run: async (n1) => {
      await n1.stop();
      return ask(n1, "n2");
    },
  },
];

test.each(outcomes)("$what ends as $kind", async ({ kind, reason, run }) => {
  const outcome = await run(await startPeer("n1"));
  expect(outcome).toMatchObject({ kind, reason: expect.stringContaining(reason) });
});

test("a request over the number that may be under way is not sent", async () => {
  const n1 = await startPeer("n1", { limits: { requestsInFlightMax: 3 } });
  const n2 = await startPeer("n2");
  introduce(n1, n2);
  const replyTo: ((reply: PeerReply) => void)[] = [];
  n2.handler.onRequest = (_, reply) => replyTo.push(reply);
  const underWay = [ask(n1, "n2"), ask(n1, "n2"), ask(n1, "n2")];
  expect(await ask(n1, "n2")).toEqual({ kind: "notSent", reason: "3 requests to n2 are under way already" });
  await eventually("the others were asked", () => replyTo.length === 3);
  for (const reply of replyTo) reply({ kind: "unknown" });
  expect(await Promise.all(underWay)).toEqual(Array(3).fill({ kind: "reply", reply: { kind: "unknown" } }));
});

test("a request whose asker gave up while the peer was paused is dropped", async () => {
  const n1 = await startPeer("n1");
  const n2 = await startChild("n2", [n1.member]);
  n1.network.setPeers([n2.member]);
  expect(await ask(n1, "n2")).toMatchObject({ kind: "reply" });

  n2.child.kill("SIGSTOP");
  const dropped = await ask(n1, "n2", { kind: "transfer", to: "n9" }, 1000);
  expect(dropped).toMatchObject({ kind: "broken" });
  n2.child.kill("SIGCONT");

  expect(await ask(n1, "n2")).toMatchObject({ kind: "reply" });
  expect(n2.lines.slice(1)).toEqual(["asked by n1: clusterStatus", "asked by n1: clusterStatus"]);
});

test("a request that cannot be read is refused with 400 and reaches no handler", async () => {
  const n1 = await startPeer("n1");
  const headers = headersOf(handshakeOf(), "POST", "/peer/request");
  const body = encodeFrame(encodeBody({ kind: "selfDestruct" }));
  const answer = await call(n1.port, { method: "POST", path: "/peer/request", headers, body });
  expect(answer).toMatchObject({ status: 400, body: expect.stringContaining("is unknown here") });
  expect(n1.handler.requests).toEqual([]);
});
