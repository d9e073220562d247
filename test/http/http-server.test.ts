import { Agent, createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { connectionLimits } from "../../src/http/http-server.ts";
import { listenAtOnePort, listenersDefault } from "../../src/http/listeners.ts";
import { open, serve, serveNothing, until } from "./harness.ts";

const path = "/v1/services/web/instances/a";

test("a port that is taken is an error that names it", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  await expect(serveNothing({ listen: { host: "127.0.0.1", port } })).rejects.toThrow(
    `EADDRINUSE: address already in use 127.0.0.1:${port}`,
  );
});

test("a port that another member has taken is refused as well, although both could share it", async () => {
  const { port } = await serve();
  await expect(serveNothing({ listen: { host: "127.0.0.1", port } })).rejects.toThrow("EADDRINUSE");
});

test("several sockets listen at the one port, and a client is served by whichever takes it", async () => {
  const servers = Array.from({ length: listenersDefault }, () => createServer((_, answer) => answer.end()));
  onTestFinished(() => servers.forEach((server) => server.close()));
  const { port } = await listenAtOnePort(servers, { host: "127.0.0.1", port: 0 });
  expect(servers.map((server) => (server.address() as AddressInfo).port)).toEqual(servers.map(() => port));
  const statuses = await Promise.all(
    Array.from({ length: 64 }, async () => (await open({ port, path: "/", agent: false })).statusCode),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test("headers that dribble in are cut off, and so is a body", async () => {
  const { raw, get } = await serve({ timeouts: { headersMs: 300, bodyMs: 500, checkEveryMs: 10 } });
  expect(await raw("GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")).toMatch(/^HTTP\/1\.1 408 /);
  const slowBody = await raw(
    `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
  );
  expect(slowBody).toMatch(/^HTTP\/1\.1 400 [^]*The body did not arrive within 500 ms/);
  const unwanted = await raw("GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{");
  expect(unwanted).toMatch(/^HTTP\/1\.1 200 /);
  expect((await get("/livez")).status).toBe(200);
});

test("a watch and a waiting request outlive the time for a request", async () => {
  const { get, port, register } = await serve({
    timeouts: { headersMs: 300, bodyMs: 400, checkEveryMs: 5 },
  });
  await register("a");
  const watch = await open({ port, path: "/v1/watch" });
  let isEnded = false;
  watch.resume().once("close", () => (isEnded = true));
  const answered = await get("/v1/services/web/instances?afterRevision=1&waitMs=1000");
  expect([answered.status, isEnded]).toEqual([200, false]);
});

test("headers over their limits are refused", async () => {
  const { raw } = await serve();
  const large = `X-Large: ${"x".repeat(connectionLimits.headerBytesMax)}\r\n`;
  expect(await raw(`GET /livez HTTP/1.1\r\nHost: x\r\n${large}\r\n`)).toMatch(
    /^HTTP\/1\.1 431 [^]*"too_large"/,
  );
});

test("what never reaches the application is answered in the form of all others", async () => {
  const { raw } = await serve();
  const large = `X-Large: ${"x".repeat(connectionLimits.headerBytesMax)}\r\n`;
  const cases: [request: string, status: number][] = [
    ["NONSENSE\r\n\r\n", 400],
    ["GET /v1/services HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
    [`GET /v1/services HTTP/1.1\r\nHost: x\r\n${large}\r\n`, 431],
    ["GET /v1/services HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n", 200],
  ];
  for (const [request, status] of cases) {
    const [head = "", body = ""] = (await raw(request)).split("\r\n\r\n");
    expect(head).toContain(`HTTP/1.1 ${status} `);
    for (const name of ["Member", "Leader", "Term", "Revision", "Stale-Ms", "Request-Id"])
      expect(head).toContain(`Rollcall-${name}: `);
    if (status === 200) continue;
    const problem = JSON.parse(body);
    expect(head).toContain(`Rollcall-Request-Id: ${problem.requestId}`);
    expect(problem).toMatchObject({ status, type: `/errors/${problem.code}`, retryable: false });
  }
});

test("a body that is refused by its length does not hold the connection up", async () => {
  const { port, get } = await serve();
  const socket = connect({ host: "127.0.0.1", port });
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n\r\n`,
  );
  await until(() => text.includes('"too_large"'));
  // The refused body may still come; the next request on the connection is answered.
  socket.write(`${"x".repeat(70_000)}GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await until(() => text.endsWith("\r\n\r\nok\n"));
  expect((await get("/livez")).status).toBe(200);
});

test("stopping answers what is under way, takes nothing new, and ends waiting at once", async () => {
  const { server, register, get, member, port } = await serve();
  await register("a");
  member.held = [];
  const write = register("b");
  const waiting = get("/v1/services/web/instances?afterRevision=1&waitMs=60000");
  await until(() => member.held?.length === 1 && member.reads === 1);
  const stopped = server.stop(10_000);
  expect((await waiting).json.instances).toHaveLength(1);
  await expect(open({ port, path: "/livez" })).rejects.toThrow("ECONNREFUSED");
  member.release();
  const { status, headers } = await write;
  expect([status, headers.connection]).toEqual([201, "close"]);
  await stopped;
});

test("stopping does not wait for idle connections, and cuts off what outlives the deadline", async () => {
  const { server, port, member, register } = await serve();
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  (await open({ port, path: "/livez", agent })).resume();
  member.held = [];
  const write = register("b").catch((error: unknown) => (error as Error).message);
  await until(() => member.held?.length === 1);
  await server.stop(30);
  expect(await write).toMatch(/socket hang up|ECONNRESET/);
});

test("a stopped server has let go of the member", async () => {
  const { server, member } = await serve();
  expect(member.listeners).toBe(1);
  await server.stop(1_000);
  expect(member.listeners).toBe(0);
});

test("connections beyond the limit are closed at once, and counted; the others are served", async () => {
  const { port, get } = await serve({ connectionsMax: 2 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  (await open({ port, path: "/livez", agent })).resume();
  const second = connect({ host: "127.0.0.1", port });
  onTestFinished(() => void second.destroy());
  await new Promise((resolve) => second.once("connect", resolve));
  await expect(get("/livez")).rejects.toThrow(/socket hang up|ECONNRESET/);
  second.destroy();
  let text = "";
  while (!text.includes("rollcall_http_connections_refused_total"))
    text = await get("/metrics").then(
      (reply) => reply.text,
      () => "",
    );
  expect(text).toMatch(/rollcall_http_connections_refused_total\{member="n1"\} [1-9]/);
  expect(text).toMatch(/rollcall_http_connections\{member="n1"\} 2\n/);
});

test("an idle connection is closed after its time", async () => {
  const { port } = await serve({ timeouts: { keepAliveMs: 20, checkEveryMs: 10 } });
  const socket = connect({ host: "127.0.0.1", port });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume().write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  await closed;
  expect(socket.bytesRead).toBeGreaterThan(0);
});
