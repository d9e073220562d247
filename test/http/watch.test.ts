import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { watchEvent } from "../../src/http/answer-schemas.ts";
import { Registry } from "../../src/registry/registry.ts";
import type { Command } from "../../src/registry/commands.ts";
import { open, serve, until, type Served } from "./harness.ts";

interface Event {
  readonly type: string;
  readonly revision: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- checked against its schema already
  readonly [field: string]: any;
}

interface Watching {
  readonly response: IncomingMessage;
  /** All that has come, syncs left out. */
  readonly events: Event[];
  /** The stream as it came. */
  readonly text: () => string;
  readonly next: (count: number) => Promise<Event[]>;
  readonly close: () => void;
}

const ndjson = { Accept: "application/x-ndjson" };

/** Opens a watch and collects its events, each held against the documented schema. */
async function watch(
  served: Served,
  query = "",
  headers: Record<string, string> = ndjson,
): Promise<Watching> {
  const outgoing = request({
    host: "127.0.0.1",
    port: served.port,
    path: `/v1/watch${query}`,
    headers,
    agent: false,
  });
  outgoing.end();
  onTestFinished(() => void outgoing.destroy());
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    outgoing.once("response", resolve).once("error", reject),
  );
  outgoing.on("error", () => {});
  response.on("error", () => {});
  let text = "";
  let parsed = 0;
  const events: Event[] = [];
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(parsed, end).split("\n")) {
      const data = line.startsWith("data: ") ? line.slice(6) : line;
      if (!data.startsWith("{")) continue;
      const event = watchEvent.parse(JSON.parse(data)) as Event;
      if (event.type !== "sync") events.push(event);
    }
    parsed = end;
  });
  return {
    response,
    events,
    text: () => text,
    next: async (count) => {
      await until(() => events.length >= count);
      return events.slice(0, count);
    },
    close: () => outgoing.destroy(),
  };
}

const summary = (events: readonly Event[]): string[] =>
  events.map(
    ({ type, revision, instance, id, service }) =>
      `${revision} ${type} ${instance?.service ?? service ?? ""}/${instance?.id ?? id ?? ""}`,
  );

const put = (id: string, service = "web", host = "h"): Command => ({
  kind: "register",
  namespace: "default",
  service,
  id,
  declared: {
    host,
    port: 1,
    scheme: null,
    version: null,
    zone: null,
    weight: 1,
    tags: [],
    metadata: [],
    status: "up",
    ttlMs: 30_000,
  },
  session: null,
  ifAbsent: false,
  ifRevision: null,
});

test("a snapshot comes first, then each change once, in order of revision", async () => {
  const served = await serve();
  const { register, ask } = served;
  await register("a");
  const { next, response } = await watch(served);
  expect(response.headers).toMatchObject({
    "content-type": "application/x-ndjson",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    "rollcall-member": "n1",
  });
  await next(1);
  await register("b");
  await register("b", { host: "elsewhere", session: "other" });
  await ask("PATCH", "/v1/services/web/instances/a", { body: { weight: 2 } });
  await ask("POST", "/v1/services/web/instances/a/renew");
  await ask("DELETE", "/v1/services/web/instances/a");
  const events = await next(5);
  expect(events[0]).toMatchObject({ type: "snapshot", revision: 1, services: { web: [{ id: "a" }] } });
  expect(summary(events.slice(1))).toEqual(["2 put web/b", "3 put web/b", "4 put web/a", "5 delete web/a"]);
  expect(events[2]?.["instance"]).toMatchObject({ host: "elsewhere", incarnation: 3 });
  expect(events[4]).toMatchObject({ namespace: "default", reason: "deregistered" });
});

test("server-sent events carry the same object, the type as event and the revision as id", async () => {
  const served = await serve();
  const watching = await watch(served, "", { Accept: "text/event-stream" });
  await watching.next(1);
  await served.register("a");
  const [, event] = await watching.next(2);
  expect(watching.response.headers["content-type"]).toBe("text/event-stream");
  expect(watching.text()).toContain(`id: 1\nevent: put\ndata: ${JSON.stringify(event)}\n\n`);
  expect(watching.text()).toMatch(
    /^id: 0\nevent: snapshot\ndata: \{"type":"snapshot","revision":0,"services":\{\}\}\n\n/,
  );
});

test("the format is what Accept prefers, and server-sent events for who names neither", async () => {
  const served = await serve();
  const typeFor = async (headers: Record<string, string>): Promise<string | undefined> => {
    const watching = await watch(served, "", headers);
    await watching.next(1);
    watching.close();
    return watching.response.headers["content-type"];
  };
  const [sse, ndjson] = ["text/event-stream", "application/x-ndjson"];
  for (const [accept, type] of [
    ["APPLICATION/X-NDJSON", ndjson],
    ["application/x-ndjson, */*", ndjson],
    ["text/event-stream;q=0.5, application/x-ndjson", ndjson],
    ["application/x-ndjson;q=0, text/event-stream", sse],
    ["application/x-ndjson;q=0.1, text/event-stream", sse],
    ["*/*", sse],
    ["text/html", sse],
  ] as const) {
    expect(await typeFor({ Accept: accept }), accept).toBe(type);
  }
  expect(await typeFor({})).toBe(sse);
});

test("one watch is about many services, by name, by prefix, or all of a namespace", async () => {
  const served = await serve();
  const { member } = served;
  const both = await watch(served, "?service=web&prefix=api.&service=none");
  const all = await watch(served);
  const elsewhere = await watch(served, "?namespace=other");
  await Promise.all([both, all, elsewhere].map(({ next }) => next(1)));
  expect(both.events[0]?.["services"]).toEqual({ none: [], web: [] });
  for (const service of ["web", "api.a", "api", "db", "api.b"]) member.commit(put("i", service));
  member.commit({ ...put("i", "web"), namespace: "other" } as Command);
  expect(summary((await both.next(4)).slice(1))).toEqual(["1 put web/i", "2 put api.a/i", "5 put api.b/i"]);
  expect(summary((await all.next(6)).slice(1)).length).toBe(5);
  expect(summary((await elsewhere.next(2)).slice(1))).toEqual(["6 put web/i"]);
  const fresh = await watch(served, "?prefix=api");
  expect(Object.keys((await fresh.next(1))[0]?.["services"])).toEqual(["api", "api.a", "api.b"]);
});

test("a stream resumes after a revision without a snapshot, by parameter or by Last-Event-ID", async () => {
  const served = await serve();
  const { register } = served;
  for (const id of ["a", "b", "c"]) await register(id);
  for (const resumed of [
    await watch(served, "?afterRevision=1"),
    await watch(served, "", { ...ndjson, "Last-Event-ID": "1" }),
    await watch(served, "?afterRevision=1", { ...ndjson, "Last-Event-ID": "3" }),
  ])
    expect(summary(await resumed.next(2))).toEqual(["2 put web/b", "3 put web/c"]);
  const upToDate = await watch(served, "?afterRevision=3");
  await until(() => upToDate.text() !== "");
  expect(upToDate.text()).toBe('{"type":"sync","revision":3}\n');
  await register("d");
  expect(summary(await upToDate.next(1))).toEqual(["4 put web/d"]);
});

test("much more than the buffer is replayed to who resumes, piece by piece, and what happens meanwhile follows", async () => {
  const served = await serve({ watchLimits: { bufferBytesMax: 4_096 } });
  const { member } = served;
  for (let i = 0; i < 3_000; i += 1) member.commit(put(`i${i}`));
  const resumed = await watch(served, "?afterRevision=10");
  for (let i = 0; i < 50; i += 1) member.commit(put(`late${i}`));
  const events = await resumed.next(3_040);
  expect(events.map(({ revision }) => revision)).toEqual(Array.from({ length: 3_040 }, (_, i) => i + 11));
});

test("a cursor that the window no longer reaches gets a snapshot", async () => {
  const served = await serve();
  const { member } = served;
  member.commit(put("a"));
  const registry = member.registry;
  const eventsSince = registry.eventsSince.bind(registry);
  registry.eventsSince = (revision) => (revision < 1 ? null : eventsSince(revision));
  const [first] = await (await watch(served, "?afterRevision=0")).next(1);
  expect(first).toMatchObject({ type: "snapshot", revision: 1, services: { web: [{ id: "a" }] } });
});

test("a member behind the cursor waits for it, and then refuses rather than sending what is older", async () => {
  const served = await serve({ watchLimits: { behindWaitMs: 30 } });
  await served.register("a");
  const refused = await served.get("/v1/watch?afterRevision=3");
  expect([refused.status, refused.json.code, refused.json.outcome]).toEqual([
    503,
    "revision_not_reached",
    "none",
  ]);
  expect(refused.json.detail).toContain("did not reach revision 3");
  const patient = await serve();
  await patient.register("a");
  const waiting = watch(patient, "?afterRevision=2");
  await until(() => patient.member.listeners > 1);
  await patient.register("b");
  await patient.register("c");
  expect(summary(await (await waiting).next(1))).toEqual(["3 put web/c"]);
});

test("sync comes while nothing happens, and says how far the registry has come elsewhere", async () => {
  const served = await serve({ watchLimits: { syncEveryMs: 10 } });
  const quiet = await watch(served, "?service=web");
  await quiet.next(1);
  await served.register("a", {}, "other");
  await until(() => quiet.text().includes('{"type":"sync","revision":1}'));
  expect(quiet.events).toHaveLength(1);
});

test("an expiry is a delete with its reason; a change of protection is an event of the service", async () => {
  const served = await serve();
  for (const id of "abcdef") await served.register(id, { ttlMs: 1_000 });
  const watching = await watch(served, "?service=web");
  await watching.next(1);
  served.member.advance(1_500);
  await until(() => watching.events.some(({ type }) => type === "service"));
  const deleted = watching.events.filter(({ type }) => type === "delete");
  expect(deleted.map(({ reason }) => reason)).toEqual(["expired", "expired", "expired"]);
  expect(watching.events.find(({ type }) => type === "service")).toMatchObject({
    service: "web",
    protected: true,
  });
  expect(watching.events.filter(({ instance }) => instance?.suspect === true)).toHaveLength(3);
});

test("an installed snapshot, which tells of no changes, resets every stream", async () => {
  const served = await serve({ watchLimits: { syncEveryMs: 10 } });
  const { member } = served;
  await served.register("old");
  const watching = await watch(served);
  await watching.next(1);
  const newer = new Registry();
  const donor = await serve();
  donor.member.replaceRegistry(newer);
  for (const id of ["x", "y", "z"]) donor.member.commit(put(id));
  newer.eventsSince = (revision) => (revision < 3 ? null : []);
  member.replaceRegistry(newer);
  const [, reset] = await watching.next(2);
  expect(reset).toMatchObject({ type: "snapshot", revision: 3 });
  expect(reset?.["services"].web).toHaveLength(3);
});

test("a reader that is too slow is reset to a snapshot, and loses nothing that matters", async () => {
  const served = await serve({ watchLimits: { bufferBytesMax: 16_384 } });
  const { member } = served;
  const watching = await watch(served, "?service=web");
  await watching.next(1);
  watching.response.pause();
  // Until far more is under way than the sockets between hold.
  const sizes = { host: "h".repeat(255) };
  for (let i = 0; i < 60_000; i += 1) {
    member.commit(put(`i${i % 50}`, "web", `${sizes.host.slice(0, 200)}${i}`));
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  watching.response.resume();
  const last = member.registry.revision;
  await until(() => watching.events.at(-1)?.revision === last);
  const revisions = watching.events.map(({ revision }) => revision);
  expect(revisions).toEqual(revisions.toSorted((left, right) => left - right));
  expect(new Set(revisions).size).toBe(revisions.length);
  const resets = watching.events.slice(1).filter(({ type }) => type === "snapshot");
  expect(resets.length).toBeGreaterThan(0);
  expect(watching.events.length).toBeLessThan(60_000);
  expect(rebuilt(watching.events)).toEqual(
    Object.fromEntries(
      member.registry.instances("default", "web", anything).map(({ id, revision }) => [id, revision]),
    ),
  );
});

const anything = { statuses: null, tags: [], version: null, zone: null, metadata: [] };

/** What a client holds after these events: the revision of each instance. */
function rebuilt(events: readonly Event[]): Record<string, number> {
  let held: Record<string, number> = {};
  for (const { type, services, instance, id } of events) {
    if (type === "snapshot")
      held = Object.fromEntries(
        services.web.map((each: { id: string; revision: number }) => [each.id, each.revision]),
      );
    if (type === "put") held[instance.id] = instance.revision;
    if (type === "delete") delete held[id];
  }
  return held;
}

test("a reader that takes nothing at all is cut off", async () => {
  const served = await serve({ watchLimits: { bufferBytesMax: 1_024, syncEveryMs: 10, stalledMsMax: 40 } });
  const { member, port } = served;
  for (let i = 0; i < 200; i += 1) member.commit(put(`i${i}`));
  const socket = connect({ host: "127.0.0.1", port });
  socket.write("GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((resolve) => socket.once("readable", resolve));
  let isClosed = false;
  socket.once("close", () => (isClosed = true)).on("error", () => {});
  for (let i = 0; !(await metricIs(served, "rollcall_watchers", 0)); i += 1) {
    member.commit(put(`i${i % 200}`, "web", `h${i}`.padEnd(250, "x")));
    if (i % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.resume();
  expect(await until(() => isClosed)).toBe(true);
});

let metricsAsked = 0;

async function metricIs(served: Served, name: string, value: number): Promise<boolean> {
  metricsAsked += 1;
  if (metricsAsked % 500 !== 0) return false;
  const { text } = await served.get("/metrics");
  return new RegExp(`^${name}\\{[^}]*\\} ${value}$`, "m").test(text);
}

test("who disconnects is forgotten at once", async () => {
  const served = await serve({ watchLimits: { streamsMax: 1 } });
  for (let i = 0; i < 5; i += 1) {
    const watching = await watch(served);
    await watching.next(1);
    expect((await served.get("/v1/watch")).json.code).toBe("overloaded");
    watching.close();
    let reply;
    do reply = await served.ask("HEAD", "/v1/watch");
    while (reply.status === 503);
    expect(reply.status).toBe(200);
  }
});

test("a stopping member says goodbye, when to come back, and where to go on", async () => {
  const served = await serve();
  await served.register("a");
  const lines = await watch(served);
  const events = await watch(served, "", { Accept: "text/event-stream" });
  await Promise.all([lines.next(1), events.next(1)]);
  const ends = [lines, events].map(({ response }) => new Promise((resolve) => response.once("end", resolve)));
  await served.server.stop(1_000);
  await Promise.all(ends);
  expect(lines.events.at(-1)).toMatchObject({ type: "goaway", revision: 1 });
  expect(events.text()).toMatch(/retry: \d+\nid: 1\nevent: goaway\n/);
});

test("a drain is done when the watches have been sent it, and not before", async () => {
  const served = await serve();
  await served.register("a");
  const watching = await watch(served);
  await watching.next(1);
  const { json } = await served.ask("POST", "/v1/services/web/instances/a/drain");
  expect(json).toEqual({ revision: 2, propagated: true });
  const [, event] = await watching.next(2);
  expect(event).toMatchObject({ type: "put", revision: 2, instance: { status: "draining" } });
});

test("a drain does not wait forever for a watch that takes nothing", async () => {
  const served = await serve({ watchLimits: { bufferBytesMax: 1_024 } });
  const { member } = served;
  const watching = await watch(served);
  await watching.next(1);
  watching.response.pause();
  member.commit(put("a"));
  for (let i = 0; i < 40_000; i += 1) member.commit(put(`i${i % 50}`, "web", `h${i}`.padEnd(250, "x")));
  const { json } = await served.ask("POST", "/v1/services/web/instances/a/drain", { body: { waitMs: 50 } });
  expect(json).toMatchObject({ propagated: false, waitingFor: ["n1"] });
});

test("HEAD shows what a watch would answer with, and ends", async () => {
  const served = await serve();
  const response = await open({ port: served.port, method: "HEAD", path: "/v1/watch" });
  response.resume();
  await new Promise((resolve) => response.once("end", resolve));
  expect(response.headers["content-type"]).toBe("text/event-stream");
});

test("hundreds of streams each get everything once, also those that come and go", async () => {
  const served = await serve();
  const { member } = served;
  const streams = await Promise.all(
    Array.from({ length: 200 }, (_, i) => watch(served, i % 2 === 0 ? "?service=web" : "")),
  );
  for (let i = 0; i < 100; i += 1) {
    member.commit(put(`i${i}`));
    if (i % 10 === 0) streams[i]?.close();
    if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const staying = streams.filter((_, i) => i >= 100 || i % 10 !== 0);
  for (const { next } of staying) {
    const [snapshot, ...rest] = await next(1).then(([first]) => next(101 - (first?.revision ?? 0)));
    const from = snapshot?.revision ?? 0;
    expect(rest.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 100 - from }, (_, i) => from + i + 1),
    );
  }
});
