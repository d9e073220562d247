// The small parts by themselves: queue, back-off, rate, names, addresses, and what an operator is told.

import fc from "fast-check";
import { Agent } from "node:http";
import { expect, test } from "vitest";
import { loggerTo } from "../../src/observability/logger.ts";
import { Authenticator } from "../../src/transport/authenticator.ts";
import { Backoff } from "../../src/transport/backoff.ts";
import { Dialer, type DialFailure } from "../../src/transport/dialer.ts";
import { defaultTransportLimits } from "../../src/transport/limits.ts";
import { Outbox, type OutgoingFrame } from "../../src/transport/outbox.ts";
import { OutgoingChannel, type Post } from "../../src/transport/outgoing-channel.ts";
import { PeerAddresses } from "../../src/transport/peer-addresses.ts";
import { Problems } from "../../src/transport/problems.ts";
import { Resolver } from "../../src/transport/resolver.ts";
import { TokenBucket } from "../../src/transport/token-bucket.ts";
import { eventually } from "./support/eventually.ts";
import { handshakeOf } from "./support/raw.ts";

function frame(bytes: number): OutgoingFrame {
  return { type: "append", bytes: Buffer.alloc(bytes) };
}

const bounds = { messagesMax: 5, bytesMax: 50 };

/** What an outbox does, written to be read. */
class PlainList {
  frames: OutgoingFrame[] = [];

  add(added: OutgoingFrame): readonly OutgoingFrame[] {
    const all = [...this.frames, added];
    const first = all.findIndex((_, position) => isWithinBounds(all.slice(position)));
    this.frames = first === -1 ? [] : all.slice(first);
    return all.slice(0, all.length - this.frames.length);
  }

  take(bytesMax: number): readonly OutgoingFrame[] {
    let count = Math.min(1, this.frames.length);
    while (count < this.frames.length && total(this.frames.slice(0, count + 1)) <= bytesMax) count += 1;
    return this.frames.splice(0, count);
  }
}

function isWithinBounds(frames: readonly OutgoingFrame[]): boolean {
  return frames.length <= bounds.messagesMax && total(frames) <= bounds.bytesMax;
}

function total(frames: readonly OutgoingFrame[]): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

test("an outbox does as a plain list does, within its bounds", () => {
  const step = fc.record({ kind: fc.constantFrom("add", "take"), bytes: fc.integer({ min: 1, max: 60 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [outbox, list] = [new Outbox(bounds), new PlainList()];
      for (const { kind, bytes } of steps) {
        const added = frame(bytes);
        const moved = [outbox, list].map((one) => (kind === "add" ? one.add(added) : one.take(bytes)));
        expect(moved[0]).toEqual(moved[1]);
        expect([outbox.messages, outbox.bytes]).toEqual([list.frames.length, total(list.frames)]);
      }
    }),
  );
});

test("a frame larger than the whole outbox is dropped itself", () => {
  const outbox = new Outbox({ messagesMax: 5, bytesMax: 50 });
  const large = frame(51);
  expect(outbox.add(large)).toEqual([large]);
  expect(outbox.take(100)).toEqual([]);
});

test("a back-off doubles to its bound, is shortened by at most a half, and begins anew", () => {
  const backoff = new Backoff({ backoffFirstMs: 50, backoffMaxMs: 1000 });
  for (const boundMs of [50, 100, 200, 400, 800, 1000, 1000]) {
    const waitMs = backoff.wait(() => {});
    expect(waitMs).toBeGreaterThanOrEqual(boundMs / 2);
    expect(waitMs).toBeLessThanOrEqual(boundMs);
  }
  backoff.reset();
  expect(backoff.wait(() => {})).toBeLessThanOrEqual(50);
  backoff.stop();
  expect(backoff.isWaiting).toBe(false);
});

test("a back-off that is cut short again and again still lasts for the first bound, and ends once", async () => {
  const backoff = new Backoff({ backoffFirstMs: 20, backoffMaxMs: 60_000 });
  // The first wait is within the first bound anyway; from the second on there is something to cut.
  for (let waits = 0; waits < 12; waits += 1) backoff.wait(() => {});
  const begunAt = performance.now();
  let ends = 0;
  expect(backoff.wait(() => (ends += 1))).toBeGreaterThan(10_000);
  await eventually("it ends", () => {
    if (backoff.isWaiting) backoff.cutShort();
    return ends > 0;
  });
  expect(performance.now() - begunAt).toBeGreaterThan(15);
  expect([ends, backoff.isWaiting]).toEqual([1, false]);
});

test("a bucket lets through what is there, then makes wait, first come first served", async () => {
  let nowMs = 0;
  const bucket = new TokenBucket(10_000, () => nowMs);
  const passed: number[] = [];
  for (const bytes of [600, 600, 600]) bucket.take(bytes, () => passed.push(bytes));
  // 1,000 are there at first; the second piece may overdraw, the third has to wait for 20 ms' worth.
  expect(passed).toEqual([600, 600]);
  nowMs = 100;
  await eventually("the third passes", () => passed.length === 3);
  bucket.stop();
});

test("a bucket that is stopped lets nothing more through", () => {
  const bucket = new TokenBucket(1000, () => 0);
  let passed = 0;
  bucket.take(5000, () => (passed += 1));
  bucket.take(1, () => (passed += 1));
  bucket.stop();
  expect(passed).toBe(1);
});

test("a host name is looked up once, and again when it is forgotten", async () => {
  const lookedUp: string[] = [];
  const resolver = new Resolver((hostname, _, done) => {
    lookedUp.push(hostname);
    if (hostname === "unknown") done(Object.assign(new Error("no"), { code: "ENOTFOUND" }), []);
    else done(null, [{ address: `10.0.0.${lookedUp.length}`, family: 4 }]);
  });
  const lookup = (name: string): Promise<unknown> =>
    new Promise((resolve) => resolver.lookup(name, {}, (error, address) => resolve(error?.code ?? address)));
  expect([await lookup("n2"), await lookup("n2"), await lookup("n3")]).toEqual([
    "10.0.0.1",
    "10.0.0.1",
    "10.0.0.2",
  ]);
  resolver.forget("n2");
  expect(await lookup("n2")).toBe("10.0.0.3");
  expect([await lookup("unknown"), await lookup("unknown")]).toEqual(["ENOTFOUND", "ENOTFOUND"]);
  const all = new Promise((resolve) => resolver.lookup("n3", { all: true }, (_, found) => resolve(found)));
  expect(await all).toEqual([{ address: "10.0.0.2", family: 4 }]);
});

test("a peer that cannot be reached is looked up again", async () => {
  let lookups = 0;
  const resolver = new Resolver((_hostname, _options, done) => {
    lookups += 1;
    done(null, [{ address: "127.0.0.1", family: 4 }]);
  });
  const dialer = new Dialer(() => handshakeOf(), new Authenticator(null), resolver);
  const agent = new Agent();
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      const target = { id: "n2", incarnation: null, url: "http://n2.test:1" };
      const question = {
        target,
        method: "GET",
        path: "/",
        body: null,
        agent,
        sameCluster: true,
        timeoutMs: 1000,
      } as const;
      dialer.ask(question, {
        onAnswer: () => resolve("an answer"),
        onFailure: ({ kind }) => resolve(kind),
      });
    });
  expect([await ask(), await ask()]).toEqual(["unreached", "unreached"]);
  expect(lookups).toBe(2);
});

test("addresses are tried in turn, and the one that works is kept", () => {
  const addresses = new PeerAddresses();
  expect(addresses.current).toBeNull();
  addresses.replace(["http://a", "http://b", "http://a"]);
  expect(addresses.current).toBe("http://a");
  addresses.failed("http://a");
  // A second failure of the same attempt's address changes nothing.
  addresses.failed("http://a");
  expect(addresses.current).toBe("http://b");
  addresses.replace(["http://c", "http://b"]);
  expect(addresses.current).toBe("http://b");
  addresses.failed("http://b");
  expect(addresses.current).toBe("http://c");
  addresses.replace([]);
  expect(addresses.current).toBeNull();
});

test("a problem is told when it begins and when it changes, not while it lasts", () => {
  const lines: string[] = [];
  const logger = loggerTo(
    { write: (line) => lines.push(JSON.parse(line).reason) },
    { level: "info", fields: {} },
  );
  const problems = new Problems(logger);
  problems.report("n2", "stream", "down");
  problems.report("n2", "stream", "down");
  problems.report("n2", "messages", "down");
  problems.report("n3", "stream", "down");
  problems.report("n2", "stream", "another cluster");
  problems.report("n2", "stream", "another cluster");
  expect(problems.of("n2")).toEqual(["down", "another cluster"]);
  problems.clear("n2", "messages");
  problems.clear("n2", "stream");
  expect(problems.of("n2")).toEqual([]);
  problems.report("n2", "stream", "down");
  problems.forget("n2");
  expect(problems.of("n2")).toEqual([]);
  expect(problems.of("n3")).toEqual(["down"]);
  expect(lines).toEqual(["down", "down", "another cluster", "down"]);
});

test("the memory of problems is bounded, and keeps the newest", () => {
  const problems = new Problems(loggerTo({ write: () => {} }, { level: "error", fields: {} }));
  for (let stranger = 0; stranger < 1000; stranger += 1)
    problems.report(`s${stranger}`, "its requests", "no");
  expect(problems.of("s743")).toEqual([]);
  expect(problems.of("s744")).toEqual(["no"]);
  expect(problems.of("s999")).toEqual(["no"]);
});

const retries: readonly {
  readonly what: string;
  readonly failure: Partial<DialFailure>;
  readonly posts: number;
}[] = [
  {
    what: "a connection that had served before",
    failure: { kind: "broken", reusedConnection: true },
    posts: 2,
  },
  { what: "a fresh connection", failure: { kind: "broken", reusedConnection: false }, posts: 1 },
  { what: "no connection", failure: { kind: "unreached", reusedConnection: false }, posts: 1 },
];

test.each(retries)(
  "messages whose POST fails on $what are posted $posts times",
  async ({ failure, posts }) => {
    let posted = 0;
    let dropped = 0;
    const post: Post = (_, done) => {
      posted += 1;
      setImmediate(() =>
        done({ kind: "broken", reason: "it broke", url: "", reusedConnection: false, ...failure }),
      );
    };
    const channel = new OutgoingChannel({
      limits: defaultTransportLimits,
      post: () => post,
      events: { onSent: () => {}, onDropped: (frames) => (dropped += frames.length), onPosted: () => {} },
    });
    channel.send(frame(10));
    await eventually("it is given up", () => dropped === 1);
    expect(posted).toBe(posts);
    channel.stop();
  },
);
