// Messages between real networks on real sockets: order, both ways of travelling, loss that is told.

import { request as httpRequest } from "node:http";
import { expect, test } from "vitest";
import { eventually } from "./support/eventually.ts";
import {
  append,
  appendIndexes,
  areConnected,
  heartbeat,
  introduce,
  rounds,
  startPeer,
  type TestPeer,
} from "./support/peers.ts";

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, position) => position + 1);
}

function statsOf(peer: TestPeer, of: string): ReturnType<TestPeer["network"]["stats"]>[number] {
  const row = peer.network.stats().find(({ id }) => id === of);
  if (row === undefined) throw new Error(`${peer.id} has no link to ${of}`);
  return row;
}

/** Sends both ways, one message a turn now and then, and expects every message once and in order. */
async function exchangeInOrder(one: TestPeer, other: TestPeer, count: number): Promise<void> {
  for (const number of upTo(count)) {
    one.network.send(heartbeat(one.id, other.id, number));
    other.network.send(append(other.id, one.id, number));
    if (number % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually("everything arrives", () => {
    return rounds(other.handler).length >= count && appendIndexes(one.handler).length >= count;
  });
  expect(rounds(other.handler)).toEqual(upTo(count));
  expect(appendIndexes(one.handler)).toEqual(upTo(count));
}

test("messages arrive once and in order over the streams", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  await exchangeInOrder(n1, n2, 300);
  expect(statsOf(n1, "n2")).toMatchObject({ messagesSent: { heartbeat: 300 }, messagesDropped: {} });
  expect(statsOf(n2, "n1")).toMatchObject({ messagesReceived: { heartbeat: 300 }, version: "0.0.1" });
});

test("while streams are blocked, messages go by POST", async () => {
  const blockedPaths = new Set(["/peer/stream"]);
  const n1 = await startPeer("n1", { blockedPaths });
  const n2 = await startPeer("n2", { blockedPaths });
  introduce(n1, n2);
  await exchangeInOrder(n1, n2, 300);
  expect(areConnected(n1, n2)).toBe(false);
  expect(statsOf(n1, "n2").problems).toEqual([
    `refused by n2 at 127.0.0.1:${n2.port}: status 405, without a reason`,
  ]);
});

test("while POST is blocked, the streams are enough", async () => {
  const blockedPaths = new Set(["/peer/messages"]);
  const n1 = await startPeer("n1", { blockedPaths });
  const n2 = await startPeer("n2", { blockedPaths });
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  await exchangeInOrder(n1, n2, 300);
  expect(statsOf(n1, "n2").problems).toEqual([]);
});

test("streams blocked in one direction only leave messages in both", async () => {
  const n1 = await startPeer("n1", { blockedPaths: new Set(["/peer/stream"]) });
  const n2 = await startPeer("n2");
  introduce(n1, n2);
  await eventually("n1 has its stream", () => n1.network.connection("n2").connected);
  await exchangeInOrder(n1, n2, 100);
  expect(n2.network.connection("n1").connected).toBe(false);
});

test("entries and a heartbeat: the heartbeat does not wait behind them", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  for (const index of upTo(12)) n1.network.send(append("n1", "n2", index, 1024 * 1024));
  n1.network.send(heartbeat("n1", "n2", 1));
  await eventually("all arrive", () => n2.handler.messages.length === 13);
  expect(appendIndexes(n2.handler)).toEqual(upTo(12));
  expect(n2.handler.messages.at(-1)?.type).toBe("append");
});

test("the round trip is measured", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  // Once in a while this process may be held up between the two ends.
  await eventually("a round trip of less than a second was measured", () => {
    const { rttMs } = statsOf(n1, "n2");
    return rttMs !== null && rttMs < 1000;
  });
  expect(statsOf(n1, "n2").rttMs).not.toBeNull();
});

test("a stream that lies idle stays open", async () => {
  const [n1, n2] = [await startPeer("n1"), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  // Each link heartbeat measures anew. Ten of them last longer than the silence after which a stream counts as dead here.
  const measured = new Set<number | null>();
  await eventually("ten round trips were measured", () => measured.add(statsOf(n1, "n2").rttMs).size > 10);
  expect(n1.handler.lost).toEqual([]);
  expect(areConnected(n1, n2)).toBe(true);
});

test("a message over the frame limit is dropped and reported, and those after it arrive", async () => {
  const limits = { frameBytesMax: 2000 };
  const [n1, n2] = [await startPeer("n1", { limits }), await startPeer("n2", { limits })];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  n1.network.send(append("n1", "n2", 1, 3000));
  await eventually("the drop is told", () => n1.handler.unreachables.includes("n2"));
  expect(n1.log.join()).toMatch(
    /a message .append. of 30\d\d bytes to n2 is over the limit of 2000 and was dropped/,
  );
  n1.network.send(append("n1", "n2", 2, 1000));
  await eventually("the next arrives", () => appendIndexes(n2.handler).length > 0);
  expect(appendIndexes(n2.handler)).toEqual([2]);
});

test("when a queue overflows the oldest messages go, the newest stay, and the handler hears of it", async () => {
  const limits = { queueMessagesMax: 10 };
  const [n1, n2] = [await startPeer("n1", { limits }), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  // All in one turn: nothing is handed to the socket before it ends.
  for (const round of upTo(25)) n1.network.send(heartbeat("n1", "n2", round));
  expect(n1.handler.unreachables).toEqual([]);
  await eventually("the newest arrives", () => rounds(n2.handler).includes(25));
  expect(rounds(n2.handler)).toEqual(upTo(25).slice(15));
  expect(n1.handler.unreachables).toEqual(["n2"]);
  expect(statsOf(n1, "n2").messagesDropped).toEqual({ heartbeat: 15 });
});

test("a queue is bounded in bytes too", async () => {
  const limits = { queueBytesMax: 10_000 };
  const [n1, n2] = [await startPeer("n1", { limits }), await startPeer("n2")];
  introduce(n1, n2);
  await eventually("both are connected", () => areConnected(n1, n2));
  for (const index of upTo(10)) n1.network.send(append("n1", "n2", index, 3000));
  await eventually("the newest arrives", () => appendIndexes(n2.handler).includes(10));
  expect(appendIndexes(n2.handler)).toEqual([8, 9, 10]);
});

test("a reader that stops reading holds a bounded queue, then loses its stream", async () => {
  const limits = { queueBytesMax: 1_000_000, linkHeartbeatMs: 100 };
  const n1 = await startPeer("n1", { limits });
  const reader = await openUnreadStream(n1, "append");
  await eventually("the stream counts", () => n1.network.stats().length === 1);
  for (const index of upTo(64)) {
    n1.network.send(append("n1", "n9", index, 256 * 1024));
    await new Promise((resolve) => setImmediate(resolve));
    expect(statsOf(n1, "n9").waitingBytes).toBeLessThanOrEqual(1_000_000);
  }
  expect(statsOf(n1, "n9").messagesDropped.append).toBeGreaterThan(0);
  expect(n1.handler.unreachables).toContain("n9");
  await eventually("the stream is given up", () => reader.isClosed());
  await eventually("and forgotten", () => n1.network.stats().length === 0);
});

/** Dials a stream as member n9 would, and never reads it. */
async function openUnreadStream(peer: TestPeer, channel: string): Promise<{ isClosed(): boolean }> {
  const request = httpRequest({
    port: peer.port,
    host: "127.0.0.1",
    path: `/peer/stream?channel=${channel}`,
    headers: {
      "rollcall-protocol": "1-1",
      "rollcall-cluster": "9f3a5c1e00000000",
      "rollcall-from": "n9",
      "rollcall-from-incarnation": "n9-first",
      "rollcall-to": "n1",
      "rollcall-to-incarnation": "-",
      "rollcall-membership": "0-0",
      "rollcall-version": "0.0.1",
    },
  });
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (answer) => {
      let closed = false;
      request.off("error", reject).on("error", () => {});
      request.socket?.pause();
      // A paused socket does not notice its end; writing to it does.
      const isClosed = (): boolean => {
        request.socket?.write("\r\n");
        return closed;
      };
      answer.on("error", () => {});
      request.on("close", () => (closed = true));
      resolve({ isClosed });
    });
    request.end();
  });
}

test("a member that no membership names is answered on the streams that it opens", async () => {
  const [n1, removed] = [await startPeer("n1"), await startPeer("n4")];
  removed.network.setPeers([removed.member, n1.member]);
  await eventually("it is connected", () => removed.network.connection("n1").connected);
  removed.network.send(heartbeat("n4", "n1", 1));
  await eventually("it is heard", () => rounds(n1.handler).length === 1);
  n1.network.send({ type: "removed", from: "n1", to: "n4", term: 3, membershipIndex: 8 });
  await eventually("it is answered", () => removed.handler.messages.length === 1);
  expect(removed.handler.messages[0]).toMatchObject({ type: "removed", membershipIndex: 8 });
});

test("only so many strangers are taken in", async () => {
  const n1 = await startPeer("n1", { limits: { strangersMax: 2 } });
  const strangers = await Promise.all(["s1", "s2", "s3"].map((id) => startPeer(id)));
  for (const { network, member } of strangers.slice(0, 2)) network.setPeers([member, n1.member]);
  await eventually("two are in", () => n1.network.stats().length === 2);
  strangers[2]?.network.setPeers([n1.member]);
  await eventually(
    "the third is refused",
    () => strangers[2]?.log.join().includes("it takes no messages") === true,
  );
  expect(n1.network.stats().map(({ id }) => id)).toEqual(["s1", "s2"]);
});

test("a message to nobody that is known vanishes", async () => {
  const n1 = await startPeer("n1");
  n1.network.send(heartbeat("n1", "n7", 1));
  expect(n1.network.stats()).toEqual([]);
});
