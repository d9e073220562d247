// Snapshots pulled from a peer: whole, throttled, resumed where they were cut.

import { expect, test } from "vitest";
import type { Member } from "../../src/raft/types.ts";
import type { StorageFailure } from "../../src/replica/ports.ts";
import { encodeFrame } from "../../src/transport/frames.ts";
import { freePorts } from "../support/free-ports.ts";
import { eventually } from "./support/eventually.ts";
import { introduce, snapshotMeta, startPeer, type PeerSettings, type TestPeer } from "./support/peers.ts";
import { startImpostor } from "./support/raw.ts";

function chunk(position: number, bytes = 10_000): Uint8Array {
  return new Uint8Array(bytes).fill(position % 251);
}

/** Offers `count` chunks under the id "s1"; later ones than `goneAfter` are no longer offered. */
function offer(peer: TestPeer, count: number, bytes?: number): { readonly reads: number[] } {
  const reads: number[] = [];
  peer.handler.onReadSnapshot = (id, position, done) => {
    reads.push(position);
    setImmediate(() => {
      if (id !== "s1") done(undefined);
      else done(position < count ? chunk(position, bytes) : null);
    });
  };
  return { reads };
}

interface Fetched {
  readonly chunks: Uint8Array[];
  readonly failure: { readonly message: string } | null;
}

function fetch(
  to: TestPeer,
  from: string,
  options: {
    id?: string;
    /** Whom the snapshot names. */
    members?: readonly Member[];
    take?: (position: number, taken: (failure: StorageFailure | null) => void) => void;
  } = {},
): Promise<Fetched> {
  const {
    id = "s1",
    members = [],
    take = (_, taken): void => void setImmediate(() => taken(null)),
  } = options;
  const chunks: Uint8Array[] = [];
  const meta = snapshotMeta(id);
  return new Promise((resolve) => {
    to.network.fetchSnapshot(
      from,
      { ...meta, membership: { ...meta.membership, members } },
      (bytes, taken) => {
        chunks.push(bytes);
        take(chunks.length - 1, taken);
      },
      (failure) => resolve({ chunks, failure }),
    );
  });
}

async function startPair(settings: PeerSettings = {}): Promise<{ leader: TestPeer; follower: TestPeer }> {
  const [leader, follower] = [await startPeer("n1", settings), await startPeer("n2", settings)];
  introduce(leader, follower);
  return { leader, follower };
}

test("all chunks arrive, in order and each once", async () => {
  const { leader, follower } = await startPair();
  offer(leader, 40);
  const { chunks, failure } = await fetch(follower, "n1");
  expect(failure).toBeNull();
  expect(chunks).toEqual(Array.from({ length: 40 }, (_, position) => chunk(position)));
});

test("an empty snapshot is a whole one", async () => {
  const { leader, follower } = await startPair();
  offer(leader, 0);
  expect(await fetch(follower, "n1")).toEqual({ chunks: [], failure: null });
});

test("a snapshot that is not offered any more fails, with the peer's words", async () => {
  const { leader, follower } = await startPair();
  offer(leader, 3);
  const { chunks, failure } = await fetch(follower, "n1", { id: "s0" });
  expect(chunks).toEqual([]);
  expect(failure?.message).toMatch(/refused by n1 at .*: it does not offer that snapshot any more/);
});

test("a transfer that is cut goes on after the last chunk that was taken", async () => {
  const follower = await startPeer("n2");
  const asked: string[] = [];
  const { url } = await startImpostor({ id: "n1" }, (path, response) => {
    if (!path.startsWith("/peer/snapshot")) return;
    asked.push(path);
    const from = Number(new URL(path, "http://n1").searchParams.get("position"));
    // Two whole chunks and a piece of the third, then the connection breaks; the fourth attempt brings the rest.
    const isLast = asked.length === 4;
    const positions = isLast ? [from, from + 1, from + 2] : [from, from + 1];
    for (const position of positions) response.write(encodeFrame(chunk(position)));
    if (isLast) response.end(encodeFrame(new Uint8Array()));
    else response.write(encodeFrame(chunk(from + 2)).subarray(0, 500), () => response.destroy());
  });
  follower.network.setPeers([{ id: "n1", incarnation: "n9-first", clientUrl: "http://c", peerUrl: url }]);
  const { chunks, failure } = await fetch(follower, "n1");
  expect(failure).toBeNull();
  expect(chunks).toEqual(Array.from({ length: 9 }, (_, position) => chunk(position)));
  expect(asked.map((path) => new URL(path, "http://n1").searchParams.get("position"))).toEqual([
    "0",
    "2",
    "4",
    "6",
  ]);
});

test("a peer that restarts in the middle and offers the same again is resumed", async () => {
  const [port = 0] = await freePorts(1);
  const [leader, follower] = [await startPeer("n1", { port }), await startPeer("n2")];
  introduce(leader, follower);
  offer(leader, 30);
  let again: TestPeer | null = null;
  let reads: readonly number[] = [];
  const restart = async (): Promise<void> => {
    await leader.stop();
    again = await startPeer("n1", { port });
    ({ reads } = offer(again, 30));
    again.network.setPeers([follower.member]);
  };
  const { chunks, failure } = await fetch(follower, "n1", {
    take: (position, taken) => {
      if (position !== 9) return void setImmediate(() => taken(null));
      void restart().then(() => taken(null));
    },
  });
  expect(failure).toBeNull();
  expect(chunks).toEqual(Array.from({ length: 30 }, (_, position) => chunk(position)));
  expect(again).not.toBeNull();
  expect(Math.min(...reads)).toBeGreaterThan(0);
});

test("after too many attempts that bring nothing it is given up", async () => {
  const follower = await startPeer("n2", { limits: { snapshotAttemptsMax: 3 } });
  follower.network.setPeers([
    { id: "n1", incarnation: "x", clientUrl: "http://c", peerUrl: "http://127.0.0.1:1" },
  ]);
  const { failure } = await fetch(follower, "n1");
  expect(failure?.message).toMatch(/^3 attempts in a row brought nothing; the last: .*connection refused$/);
});

test("a sender that falls silent in the middle is asked again", async () => {
  const follower = await startPeer("n2", { limits: { snapshotAttemptsMax: 2 } });
  let attempts = 0;
  const { url } = await startImpostor({ id: "n1" }, (path, response) => {
    if (!path.startsWith("/peer/snapshot")) return;
    attempts += 1;
    response.write(Buffer.alloc(3));
  });
  follower.network.setPeers([{ id: "n1", incarnation: "n9-first", clientUrl: "http://c", peerUrl: url }]);
  const { failure } = await fetch(follower, "n1");
  expect(attempts).toBe(2);
  expect(failure?.message).toContain("nothing came any more");
});

test("chunks that do not match their checksum are asked for again", async () => {
  const follower = await startPeer("n2");
  let attempts = 0;
  const { url } = await startImpostor({ id: "n1" }, (path, response) => {
    if (!path.startsWith("/peer/snapshot")) return;
    attempts += 1;
    const frame = encodeFrame(chunk(0));
    if (attempts === 1) frame.writeUInt8(99, 100);
    response.end(Buffer.concat([frame, encodeFrame(new Uint8Array())]));
  });
  follower.network.setPeers([{ id: "n1", incarnation: "n9-first", clientUrl: "http://c", peerUrl: url }]);
  expect(await fetch(follower, "n1")).toEqual({ chunks: [chunk(0)], failure: null });
  expect(attempts).toBe(2);
});

test("a chunk that cannot be stored ends the transfer", async () => {
  const { leader, follower } = await startPair();
  offer(leader, 5);
  const { chunks, failure } = await fetch(follower, "n1", {
    take: (position, taken) =>
      setImmediate(() => taken(position === 2 ? { kind: "full", message: "no space" } : null)),
  });
  expect(chunks).toHaveLength(3);
  expect(failure?.message).toBe("a chunk could not be written: no space");
});

test("a slow disk slows the sender: it does not read far ahead", async () => {
  const { leader, follower } = await startPair({ limits: { snapshotBytesPerSecond: 1e9 } });
  const { reads } = offer(leader, 60, 1024 * 1024);
  let release: (() => void) | null = null;
  const fetched = fetch(follower, "n1", {
    take: (position, taken) => {
      if (position === 0) release = (): void => taken(null);
      else setImmediate(() => taken(null));
    },
  });
  await eventually("the first chunk waits", () => release !== null);
  // What the sockets hold is read ahead, and then no more.
  let before = -1;
  while (before !== reads.length) {
    before = reads.length;
    for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(reads.length).toBeLessThan(30);
  (release as (() => void) | null)?.();
  expect((await fetched).chunks).toHaveLength(60);
});

test("snapshots leave at no more than their rate", async () => {
  const { leader, follower } = await startPair({ limits: { snapshotBytesPerSecond: 2_000_000 } });
  offer(leader, 100);
  const startedAt = performance.now();
  const { chunks } = await fetch(follower, "n1");
  // 1 MB at 2 MB/s, less the tenth of a second that goes at once.
  expect(performance.now() - startedAt).toBeGreaterThan(350);
  expect(chunks).toHaveLength(100);
});

test("a transfer from a member that is removed ends", async () => {
  const { leader, follower } = await startPair();
  offer(leader, 5);
  const { failure } = await fetch(follower, "n1", {
    take: (_, taken) => {
      follower.network.setPeers([follower.member]);
      void leader.stop().then(() => taken(null));
    },
  });
  expect(failure?.message).toBe("the member that offered it is no peer any more");
});

test("stop ends a transfer", async () => {
  const { leader, follower } = await startPair();
  offer(leader, 5);
  const { failure } = await fetch(follower, "n1", { take: () => void follower.stop() });
  expect(failure?.message).toBe("this member is stopping");
});
