import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { presenceLine } from "../../src/http/answer-schemas.ts";
import { standStill } from "./dial.ts";
import { serve, until, type Served } from "./harness.ts";

interface Present {
  readonly outgoing: ClientRequest;
  readonly response: IncomingMessage;
  readonly lines: { readonly type: string; readonly [field: string]: unknown }[];
}

const ndjson = { "Content-Type": "application/x-ndjson" };
const anything = { statuses: null, tags: [], version: null, zone: null, metadata: [] };

/** Opens a connection for these instances of service web, and collects its lines, each held against the documented schema. */
async function attach(
  served: Served,
  instances: readonly { readonly id: string; readonly incarnation: number }[],
  more: object = {},
  headers: Record<string, string> = {},
): Promise<Present> {
  const outgoing = request({
    host: "127.0.0.1",
    port: served.port,
    method: "POST",
    path: "/v1/presence",
    headers: { ...ndjson, ...headers },
    agent: false,
  });
  onTestFinished(() => void outgoing.destroy());
  const first = { instances: instances.map((instance) => ({ service: "web", ...instance })), ...more };
  outgoing.write(`${JSON.stringify(first)}\n`);
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    outgoing.once("response", resolve).once("error", reject),
  );
  outgoing.on("error", () => {});
  response.on("error", () => {});
  const lines: Present["lines"] = [];
  let rest = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((part) => presenceLine.parse(JSON.parse(part))));
  });
  await until(() => lines.length > 0);
  return { outgoing, response, lines };
}

const suspects = ({ member }: Served): string =>
  member.registry
    .instances("default", "web", anything)
    .filter(({ suspect }) => suspect)
    .map(({ id }) => id)
    .join("");

test("instances hang on the connection: when it breaks they are suspect at once, and gone after lingerMs", async () => {
  const served = await serve();
  const { register, member, get } = served;
  await register("a", { ttlMs: 600_000 });
  await register("b", { ttlMs: 600_000 });
  const { outgoing, lines } = await attach(served, [
    { id: "a", incarnation: 1 },
    { id: "b", incarnation: 1 },
  ]);
  expect(lines).toEqual([{ type: "attached", connection: 1, attached: [true, false] }]);
  outgoing.destroy();
  await until(() => suspects(served) !== "");
  expect(suspects(served)).toBe("a");
  member.advance(1_900);
  expect((await get("/v1/services/web/instances/a")).status).toBe(200);
  member.advance(200);
  expect((await get("/v1/services/web/instances/a")).json.code).toBe("not_registered");
  expect((await get("/v1/services/web/instances/b")).status).toBe(200);
});

test("the end of the body is the end of the client", async () => {
  const served = await serve();
  await served.register("a");
  const { outgoing, response } = await attach(served, [{ id: "a", incarnation: 1 }], { lingerMs: 60_000 });
  const ended = new Promise((resolve) => response.once("end", resolve));
  outgoing.end();
  await ended;
  expect(await until(() => suspects(served))).toBe("a");
});

test("a client that is already gone when its attachment is committed is noticed", async () => {
  const served = await serve();
  await served.register("a");
  const reply = await served
    .ask("POST", "/v1/presence", {
      raw: `${JSON.stringify({ instances: [{ service: "web", id: "a", incarnation: 1 }] })}\n`,
      headers: ndjson,
    })
    .catch(() => null);
  expect(reply?.status ?? 200).toBe(200);
  expect(await until(() => suspects(served))).toBe("a");
});

test("a connection that is lost while its attachment is being committed is a break too", async () => {
  const served = await serve();
  const { member } = served;
  await served.register("a");
  member.held = [];
  const outgoing = request({
    host: "127.0.0.1",
    port: served.port,
    method: "POST",
    path: "/v1/presence",
    headers: ndjson,
  });
  outgoing.on("error", () => {});
  outgoing.write(`${JSON.stringify({ instances: [{ service: "web", id: "a", incarnation: 1 }] })}\n`);
  await until(() => member.held?.length === 1);
  outgoing.destroy();
  // The metrics count a request when its connection is done.
  for (let text = ""; !text.includes('route="/v1/presence"');) ({ text } = await served.get("/metrics"));
  member.release();
  expect(await until(() => suspects(served))).toBe("a");
});

test("silence is a break; a line in time is not, and is answered", async () => {
  const served = await serve({ presenceLimits: { silenceMsMax: 120, lookEveryMs: 10 } });
  await served.register("a");
  await served.register("b");
  const talking = await attach(served, [{ id: "a", incarnation: 1 }]);
  await attach(served, [{ id: "b", incarnation: 2 }]);
  const timer = setInterval(() => talking.outgoing.write("\n"), 20);
  onTestFinished(() => clearInterval(timer));
  expect(await until(() => suspects(served))).toBe("b");
  expect(talking.lines.at(-1)).toEqual({ type: "alive" });
});

test("a member that stood still reads what its clients have said meanwhile before it takes them for silent", async () => {
  const served = await serve({ presenceLimits: { silenceMsMax: 300, lookEveryMs: 10 } });
  await served.register("a");
  await served.register("b");
  const talking = await attach(served, [{ id: "a", incarnation: 1 }]);
  await attach(served, [{ id: "b", incarnation: 2 }]);
  talking.outgoing.write("\n");
  standStill(500);
  expect(await until(() => suspects(served))).toBe("b");
});

test("a client that says much and takes nothing is not answered line by line: that would pile up", async () => {
  const served = await serve();
  await served.register("a");
  const { outgoing, response, lines } = await attach(served, [{ id: "a", incarnation: 1 }]);
  const ended = new Promise((resolve) => response.once("end", resolve));
  outgoing.end("\n".repeat(60_000));
  await ended;
  const alive = lines.filter(({ type }) => type === "alive").length;
  expect(alive).toBeGreaterThan(0);
  expect(alive).toBeLessThan(30_000);
});

test("a place is taken from the first moment on, and given back when the connection ends", async () => {
  const served = await serve({ presenceLimits: { sessionsMax: 1 } });
  const { member, ask } = served;
  await served.register("a");
  const raw = `${JSON.stringify({ instances: [{ service: "web", id: "a", incarnation: 1 }] })}\n`;
  member.held = [];
  const attaching = attach(served, [{ id: "a", incarnation: 1 }]);
  await until(() => member.held?.length === 1);
  expect((await ask("POST", "/v1/presence", { raw, headers: ndjson })).json.code).toBe("overloaded");
  member.release();
  const { outgoing } = await attaching;
  expect((await ask("POST", "/v1/presence", { raw, headers: ndjson })).json.code).toBe("overloaded");
  outgoing.destroy();
  await until(() => suspects(served) === "a");
  await attach(served, [{ id: "a", incarnation: 1 }]);
});

test("who reconnects is not hurt by the end of the older connection", async () => {
  const served = await serve();
  await served.register("a");
  const older = await attach(served, [{ id: "a", incarnation: 1 }]);
  const newer = await attach(served, [{ id: "a", incarnation: 1 }]);
  older.outgoing.destroy();
  await until(() =>
    served.member.submitted.some(({ command }) => command.kind === "presence" && command.change === "break"),
  );
  expect(suspects(served)).toBe("");
  newer.outgoing.destroy();
  expect(await until(() => suspects(served))).toBe("a");
});

test("each connection has a number of its own, whatever key it comes with", async () => {
  const served = await serve();
  await served.register("a");
  const headers = { "Idempotency-Key": "k1" };
  const older = await attach(served, [{ id: "a", incarnation: 1 }], {}, headers);
  const newer = await attach(served, [{ id: "a", incarnation: 1 }], {}, headers);
  expect(newer.lines[0]?.["connection"]).not.toBe(older.lines[0]?.["connection"]);
});

test("while it is open the member renews, every third of the TTL", async () => {
  const served = await serve({ presenceLimits: { lookEveryMs: 10 } });
  const { member } = served;
  await served.register("a", { ttlMs: 1_000 });
  await attach(served, [{ id: "a", incarnation: 1 }]);
  const key = { namespace: "default", service: "web", id: "a" };
  member.advance(900);
  const before = member.registry.deadline(key);
  expect(await until(() => (member.registry.deadline(key) ?? 0) > (before ?? 0))).toBe(true);
});

test("the shortest lease is kept too", async () => {
  const served = await serve();
  const { member } = served;
  await served.register("a", { ttlMs: 1_000 });
  await attach(served, [{ id: "a", incarnation: 1 }]);
  const key = { namespace: "default", service: "web", id: "a" };
  let leftMs = Number.POSITIVE_INFINITY;
  let beforeMs = performance.now();
  for (let passedMs = 0; passedMs < 1_500;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const nowMs = performance.now();
    // What holds up this process is no time of the lease: it holds up the renewals as well.
    const stepMs = Math.min(Math.floor(nowMs - beforeMs), 40);
    beforeMs = nowMs;
    passedMs += stepMs;
    member.advance(stepMs);
    leftMs = Math.min(leftMs, (member.registry.deadline(key) ?? 0) - member.clusterNow());
  }
  expect(leftMs).toBeGreaterThan(300);
});

test("a renewal that is under way when the connection breaks goes before the break, so that it cannot undo it", async () => {
  const served = await serve({ presenceLimits: { lookEveryMs: 10 } });
  const { member } = served;
  await served.register("a", { ttlMs: 1_000 });
  const { outgoing } = await attach(served, [{ id: "a", incarnation: 1 }]);
  member.held = [];
  await until(() => member.held?.length === 1);
  outgoing.destroy();
  for (let text = ""; !text.includes('route="/v1/presence"');) ({ text } = await served.get("/metrics"));
  expect(member.held).toHaveLength(1);
  member.release();
  expect(await until(() => suspects(served))).toBe("a");
  const [last] = served.member.registry.history("default", "web", {
    id: "a",
    beforeRevision: null,
    limit: 1,
  });
  expect(last).toMatchObject({ type: "suspect", reason: "connection 1 broke" });
});

test("a client whose registration is over is told, and the connection ends when none is left", async () => {
  const served = await serve({ presenceLimits: { lookEveryMs: 10 } });
  await served.register("a", { ttlMs: 1_000, session: "s1" });
  const { lines, response } = await attach(served, [{ id: "a", incarnation: 1 }]);
  const ended = new Promise((resolve) => response.once("end", resolve));
  await served.register("a", { ttlMs: 1_000, session: "s2" });
  await ended;
  expect(lines.at(-1)).toEqual({
    type: "lost",
    namespace: "default",
    service: "web",
    id: "a",
    code: "superseded",
  });
  expect(suspects(served)).toBe("");
});

test("a client is also told when its registration was ended by somebody else, or taken over for long", async () => {
  const served = await serve({ presenceLimits: { lookEveryMs: 10 } });
  await served.register("a", { ttlMs: 86_400_000, session: "s1" });
  await served.register("b", { ttlMs: 86_400_000, session: "s1" });
  const { lines, response } = await attach(served, [
    { id: "a", incarnation: 1 },
    { id: "b", incarnation: 2 },
  ]);
  const ended = new Promise((resolve) => response.once("end", resolve));
  await served.ask("DELETE", "/v1/services/web/instances/a");
  await served.register("b", { ttlMs: 86_400_000, session: "s2" });
  await ended;
  const lost = lines.slice(1).map(({ type, id, code }) => `${type} ${String(id)} ${String(code)}`);
  expect(lost).toEqual(["lost a not_registered", "lost b superseded"]);
});

test("a stopping member lets go of its connections, and nobody becomes suspect by that", async () => {
  const served = await serve();
  await served.register("a");
  const { lines, response } = await attach(served, [{ id: "a", incarnation: 1 }]);
  const ended = new Promise((resolve) => response.once("end", resolve));
  const stopped = served.server.stop(200);
  await ended;
  await stopped;
  expect(lines.at(-1)).toEqual({ type: "goaway" });
  expect(served.member.submitted.filter(({ command }) => command.kind === "presence")).toHaveLength(1);
});

test("a stopping member does not wait for clients that keep their bodies open: it says goaway, and closes", async () => {
  const served = await serve();
  await served.register("a");
  const line = `${JSON.stringify({ instances: [{ service: "web", id: "a", incarnation: 1 }] })}\n`;
  const socket = connect({ host: "127.0.0.1", port: served.port });
  let heard = "";
  socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  socket.write(
    "POST /v1/presence HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n" +
      `${line.length.toString(16)}\r\n${line}\r\n`,
  );
  await until(() => heard.includes("attached"));
  // The time after which everything is cut off is longer than a test may take.
  await served.server.stop(3_600_000);
  await until(() => socket.destroyed);
  expect(heard).toContain('{"type":"goaway"}');
});

test("what is no presence is refused", async () => {
  const { ask } = await serve({ presenceLimits: { sessionsMax: 0 }, timeouts: { bodyMs: 500 } });
  const line = JSON.stringify({ instances: [{ service: "web", id: "a", incarnation: 1 }] });
  expect((await ask("POST", "/v1/presence", { raw: `${line}\n`, headers: ndjson })).json.code).toBe(
    "overloaded",
  );
  for (const type of ["text/plain", "application/x-www-form-urlencoded"])
    expect((await ask("POST", "/v1/presence", { raw: line, headers: { "Content-Type": type } })).status).toBe(
      415,
    );
  for (const type of ["application/jsonl", "application/ndjson", "Application/JSON; charset=utf-8"]) {
    const headers = { "Content-Type": type };
    expect((await ask("POST", "/v1/presence", { raw: `${line}\n`, headers })).json.code).toBe("overloaded");
  }
  const { ask: again } = await serve();
  const cases: [raw: string, status: number][] = [
    ["", 400],
    [line, 400],
    ["nonsense\n", 400],
    ['{"instances":[]}\n', 400],
    ['{"instances":[{"service":"web","id":"a"}]}\n', 400],
    [`${line.slice(0, -1)},"lingerMs":60001}\n`, 400],
    ["x".repeat(4 * 1024 * 1024 + 1), 413],
  ];
  for (const [raw, status] of cases)
    expect((await again("POST", "/v1/presence", { raw, headers: ndjson })).status, raw.slice(0, 50)).toBe(
      status,
    );
});
