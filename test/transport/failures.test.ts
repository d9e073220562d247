// What breaks, and how far it reaches: one connection, never the process, and the handler hears of it once.

import { connect } from "node:net";
import { expect, test } from "vitest";
import { encodeFrame } from "../../src/transport/frames.ts";
import { messageFrame } from "../../src/transport/stream-frames.ts";
import { freePorts } from "../support/free-ports.ts";
import { startChild } from "./support/child.ts";
import { eventually } from "./support/eventually.ts";
import {
  append,
  appendIndexes,
  areConnected,
  heartbeat,
  introduce,
  rounds,
  startPeer,
} from "./support/peers.ts";
import { call, handshakeOf, headersOf, startImpostor } from "./support/raw.ts";

test("kill -9 of a peer is noticed by the end of its stream, once", async () => {
  const n1 = await startPeer("n1");
  const n2 = await startChild("n2", [n1.member]);
  n1.network.setPeers([n1.member, n2.member]);
  await eventually("it is connected", () => n1.network.connection("n2").connected);

  const killedAt = performance.now();
  n2.child.kill("SIGKILL");
  await eventually("the loss is told", () => n1.handler.lost.length > 0);
  console.info(`kill -9 was noticed after ${(performance.now() - killedAt).toFixed(1)} ms`);

  await eventually("its absence is reported", () => n1.log.join().includes("connection refused"));
  expect(n1.handler.lost).toEqual(["n2"]);
  expect(n1.network.connection("n2").connected).toBe(false);
  expect(n1.network.stats()[0]).toMatchObject({ streamsLost: 1 });
});

test("a peer that is paused counts as lost after three silent link heartbeats, and returns by itself", async () => {
  const n1 = await startPeer("n1", { limits: { answerTimeoutMs: 400 } });
  const n2 = await startChild("n2", [n1.member]);
  n1.network.setPeers([n1.member, n2.member]);
  await eventually("it is connected", () => n1.network.connection("n2").connected);
  n2.child.kill("SIGSTOP");
  await eventually("the loss is told", () => n1.handler.lost.length > 0);
  expect(n1.log.join()).toContain("nothing came for 150 ms");
  await eventually("it does not answer", () => n1.log.join().includes("no answer within 400 ms"));
  n2.child.kill("SIGCONT");
  await eventually("it is connected again", () => n1.network.connection("n2").connected);
});

test("a peer that ends in order is noticed at once, too", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  await n2.stop();
  await eventually("the loss is told", () => n1.handler.lost.length > 0);
  await eventually("its absence is reported", () => n1.log.join().includes("connection refused"));
  expect(n1.handler.lost).toEqual(["n2"]);
  expect(n2.handler.lost).toEqual([]);
});

test("a peer that restarts on the same port is connected again, and messages flow", async () => {
  const n1 = await startPeer("n1");
  const [port = 0] = await freePorts(1);
  let n2 = await startPeer("n2", { port });
  for (let restarts = 1; restarts <= 3; restarts += 1) {
    introduce(n1, n2);
    await eventually("both are connected", () => areConnected(n1, n2));
    await n2.stop();
    await eventually("the loss is told", () => n1.handler.lost.length === restarts);
    n1.network.send(heartbeat("n1", "n2", 0));
    n2 = await startPeer("n2", { port });
    introduce(n1, n2);
    await eventually("both are connected again", () => areConnected(n1, n2));
    n1.network.send(heartbeat("n1", "n2", 7));
    n2.network.send(append("n2", "n1", restarts));
    await eventually("messages flow", () => rounds(n2.handler).includes(7));
    await eventually("both ways", () => appendIndexes(n1.handler).includes(restarts));
  }
  expect(n1.handler.lost).toEqual(["n2", "n2", "n2"]);
});

test("what is meant for a peer that is down is dropped, not kept until it returns", async () => {
  const [port = 0] = await freePorts(1);
  const [n1, n2] = [
    await startPeer("n1", { limits: { backoffFirstMs: 200, backoffMaxMs: 200 } }),
    await startPeer("n2", { port }),
  ];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  await n2.stop();
  await eventually("the loss is told", () => n1.handler.lost.length > 0);
  const before = n1.handler.unreachables.length;
  n1.network.send(heartbeat("n1", "n2", 1));
  await eventually("it is unreachable", () => n1.handler.unreachables.length > before);
  for (let round = 2; round < 100; round += 1) n1.network.send(heartbeat("n1", "n2", round));
  const again = await startPeer("n2", { port });
  again.network.setPeers([n1.member]);
  await eventually("n2 hears n1", () => again.network.connection("n1").connected);
  n1.network.send(heartbeat("n1", "n2", 100));
  await eventually("it hears what is sent now", () => rounds(again.handler).includes(100));
  expect(rounds(again.handler)).toEqual([100]);
});

test("a peer that is no member any more loses its connections, and that is no loss to be told", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  n1.network.setPeers([n1.member, { ...n2.member, id: "n3", peerUrl: "http://127.0.0.1:1" }]);
  await eventually("n2 loses its stream", () => n2.handler.lost.length > 0);
  expect(n1.handler.lost).toEqual([]);
  n1.network.send(heartbeat("n1", "n2", 1));
  expect(n1.network.connection("n2")).toEqual({ connected: false, version: null });
});

test("a peer whose address changes is dialled at the new one", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  await n2.stop();
  const moved = await startPeer("n2");
  introduce(n1, moved);
  await eventually("both are connected again", () => areConnected(n1, moved));
  expect(n1.network.stats()[0]?.address).toBe(moved.member.peerUrl);
});

test("of the configured address and the one in the membership, the one that works is used", async () => {
  const n2 = await startPeer("n2");
  const configuredWrong = await startPeer("n1", { peers: [{ id: "n2", peerUrl: "http://127.0.0.1:1" }] });
  configuredWrong.network.setPeers([n2.member]);
  await eventually("it is connected", () => configuredWrong.network.connection("n2").connected);
  const configuredRight = await startPeer("n3", { peers: [{ id: "n2", peerUrl: n2.member.peerUrl }] });
  configuredRight.network.setPeers([{ ...n2.member, peerUrl: "http://127.0.0.1:1" }]);
  await eventually("it is connected", () => configuredRight.network.connection("n2").connected);
  for (const { network } of [configuredWrong, configuredRight]) {
    expect(network.stats()[0]?.address).toBe(n2.member.peerUrl);
  }
});

test("before any membership is known the configured list is dialled", async () => {
  const n2 = await startPeer("n2");
  const n1 = await startPeer("n1", {
    peers: [
      { id: "n1", peerUrl: "http://127.0.0.1:1" },
      { id: "n2", peerUrl: n2.member.peerUrl },
    ],
  });
  await eventually("it is connected", () => n1.network.connection("n2").connected);
  expect(n1.network.stats().map(({ id }) => id)).toEqual(["n2"]);
});

const corruptions: readonly { readonly what: string; readonly bytes: () => Buffer; readonly said: string }[] =
  [
    {
      what: "garbage",
      bytes: () => Buffer.from("HTTP/1.1 200 OK\r\n\r\nhello"),
      said: "is over the limit of",
    },
    {
      what: "a frame of 8 MiB and a byte",
      bytes: () => encodeFrame(new Uint8Array(8 * 1024 * 1024 + 1)).subarray(0, 8),
      said: "a frame of 8388609 bytes is over the limit of 8388608",
    },
    {
      what: "a wrong checksum",
      bytes: () => flipped(messageFrame(heartbeat("n2", "n1", 5))),
      said: "does not match its checksum",
    },
    {
      what: "no MessagePack",
      bytes: () => encodeFrame(Uint8Array.of(0xc1)),
      said: "are not exchanged between members",
    },
    {
      what: "a frame that is no array",
      bytes: () => encodeFrame(Uint8Array.of(0x80)),
      said: "a frame is not an array",
    },
    {
      what: "a frame of an unknown kind",
      bytes: () => encodeFrame(Uint8Array.of(0x91, 0x07)),
      said: "neither a message nor",
    },
    {
      what: "a malformed message",
      bytes: () => encodeFrame(Uint8Array.of(0x92, 0x01, 0x91, 0x63)),
      said: "message",
    },
    {
      what: "a message of another member",
      bytes: () => messageFrame(heartbeat("n3", "n1", 5)),
      said: "from n3 to n1 came from n2 to n1",
    },
  ];

function flipped(frame: Buffer): Buffer {
  frame.writeUInt8(frame.readUInt8(frame.byteLength - 1) ^ 1, frame.byteLength - 1);
  return frame;
}

test.each(corruptions)(
  "$what on a stream ends that stream, and what came before it counts",
  async ({ bytes, said }) => {
    const n1 = await startPeer("n1");
    let dials = 0;
    const { url } = await startImpostor({ id: "n2" }, (path, response) => {
      if (!path.includes("control")) return;
      dials += 1;
      response.write(
        Buffer.concat([messageFrame(heartbeat("n2", "n1", dials)), dials === 1 ? bytes() : Buffer.alloc(0)]),
      );
    });
    const healthy = await startPeer("n4");
    n1.network.setPeers([
      { id: "n2", incarnation: "n9-first", clientUrl: "http://c", peerUrl: url },
      healthy.member,
    ]);
    await eventually("the stream is dialled again", () => dials === 2 && rounds(n1.handler).includes(2));
    expect(n1.log.join()).toContain(said);
    expect(rounds(n1.handler)).toEqual([1, 2]);
    expect(n1.handler.lost).toEqual(["n2"]);
    await eventually("the other peer is not concerned", () => n1.network.connection("n4").connected);
  },
);

test.each(corruptions)(
  "$what in a POST is answered with 400, and nothing else happens",
  async ({ bytes }) => {
    const n1 = await startPeer("n1");
    const headers = headersOf(handshakeOf({ id: "n2" }), "POST", "/peer/messages");
    const first = await call(n1.port, { method: "POST", path: "/peer/messages", headers, body: bytes() });
    expect(first.status).toBe(400);
    expect(n1.handler.messages).toEqual([]);
    const body = messageFrame(heartbeat("n2", "n1", 1));
    const next = await call(n1.port, { method: "POST", path: "/peer/messages", headers, body });
    expect(next.status).toBe(204);
    expect(rounds(n1.handler)).toEqual([1]);
  },
);

test("a body over the limit is refused before it is whole", async () => {
  const n1 = await startPeer("n1", { limits: { frameBytesMax: 1000 } });
  const headers = headersOf(handshakeOf(), "POST", "/peer/messages");
  const answer = await call(n1.port, {
    method: "POST",
    path: "/peer/messages",
    headers,
    body: new Uint8Array(1009),
  });
  expect(answer).toMatchObject({
    status: 413,
    body: expect.stringContaining("over its limit of 1008 bytes"),
  });
});

test("a body that does not come is given up", async () => {
  const n1 = await startPeer("n1", { limits: { bodyTimeoutMs: 50 } });
  const headers = Object.entries(headersOf(handshakeOf(), "POST", "/peer/messages"));
  const head = [
    "POST /peer/messages HTTP/1.1",
    "host: n1",
    "content-length: 100",
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  const socket = connect(n1.port, "127.0.0.1", () => socket.write(`${head.join("\r\n")}\r\n\r\nfour`));
  let heard = "";
  let isClosed = false;
  socket.on("data", (text) => (heard += text.toString("utf8")));
  socket.on("close", () => (isClosed = true));
  await eventually("it is answered and closed", () => isClosed);
  expect(heard).toContain("did not arrive within 50 ms");
});

test("bytes that are no HTTP are answered with 400, and the member goes on", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  let isClosed = false;
  const socket = connect(n1.port, "127.0.0.1", () => socket.write(Buffer.from([0, 1, 2, 3, 13, 10, 13, 10])));
  socket.on("data", () => {});
  socket.on("close", () => (isClosed = true));
  await eventually("it is closed", () => isClosed);
  introduce(n1, n2);
  await eventually("others connect", () => areConnected(n1, n2));
  expect(n1.log.join()).not.toMatch(/warn|error/);
});

test("only so many connections are held at once", async () => {
  const n1 = await startPeer("n1", { limits: { connectionsMax: 5 } });
  let open = 0;
  let closed = 0;
  const sockets = Array.from({ length: 12 }, () => connect(n1.port, "127.0.0.1"));
  for (const socket of sockets) {
    socket.on("connect", () => (open += 1));
    socket.on("error", () => {});
    socket.on("close", () => (closed += 1));
  }
  await eventually("the others are turned away", () => closed === 7);
  expect(open).toBeGreaterThanOrEqual(5);
  for (const socket of sockets) socket.destroy();
});

test("stop leaves nothing behind that keeps a process alive", async () => {
  const n1 = await startPeer("n1");
  const n2 = await startChild("n2", [n1.member, { ...n1.member, id: "n3", peerUrl: "http://127.0.0.1:1" }]);
  n1.network.setPeers([n2.member]);
  await eventually("it is connected", () => n1.network.connection("n2").connected);
  n2.child.stdin?.end();
  await eventually("it has ended by itself", () => n2.status() !== null);
  expect(n2.status()).toBe(0);
});

test("a port in use is told by its error", async () => {
  const n1 = await startPeer("n1");
  await expect(startPeer("n2", { port: n1.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});
