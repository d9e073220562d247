import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Registry, type RegistryEnvironment, type RegistryOptions } from "../../src/client/registry.ts";
import type { ServiceCache } from "../../src/client/cache.ts";
import { FakeRegistry, unhurried } from "../support/fake-registry-server.ts";
import { HandClock } from "../support/hand-clock.ts";
import { waitFor } from "../support/wait-for.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function start(
  members = 1,
  options: Partial<RegistryOptions> = {},
  environment: Partial<RegistryEnvironment> = {},
) {
  const fake = await FakeRegistry.start(members);
  const registry = new Registry(
    { servers: fake.urls, deregisterOnExit: false, ...unhurried, ...options },
    { random: () => 0, ...environment },
  );
  closers.push(
    () => fake.close(),
    () => registry.close(),
  );
  return { fake, registry };
}

const ids = (cache: ServiceCache): string => cache.instances.map(({ id }) => id).join(" ");

/** An HTTP server that answers with its name. */
async function provider(
  name: string,
  answer: (request: { method: string; path: string }) => number | "break" | "hang" = () => 200,
): Promise<{ server: Server; port: number; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    const wish = answer({ method: request.method ?? "", path: request.url ?? "" });
    if (wish === "hang") return;
    if (wish === "break") response.destroy();
    else response.writeHead(wish).end(name);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => stop(server));
  return { server, port: (server.address() as AddressInfo).port, seen };
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

const withoutWatch = (fake: FakeRegistry): void => {
  fake.hasWatch = false;
};

test.each([
  { way: "watch", prepare: () => {} },
  { way: "poll", prepare: withoutWatch },
])("by $way a list follows registrations, changes and removals", async ({ way, prepare }) => {
  const { fake, registry } = await start();
  prepare(fake);
  fake.put("echo", "e1");
  fake.put("other", "o1");
  const echo = await registry.service("echo").ready();
  expect(ids(echo)).toBe("e1");
  expect(echo.state).toMatchObject({ source: way, stale: false, lastError: null });
  fake.put("echo", "e2");
  await expect.poll(() => ids(echo)).toBe("e1 e2");
  fake.put("echo", "e1", { status: "draining" });
  await expect.poll(() => ids(echo)).toBe("e2");
  fake.expire("echo", "e2");
  await expect.poll(() => ids(echo)).toBe("");
});

test.each([
  { way: "watch", prepare: () => {} },
  { way: "poll", prepare: withoutWatch },
])(
  "by $way a list goes on at another member when its own is killed, and misses nothing",
  async ({ prepare }) => {
    const { fake, registry } = await start(3);
    prepare(fake);
    fake.put("echo", "e1");
    const echo = await registry.service("echo").ready();
    await fake.kill("n1");
    fake.put("echo", "e2");
    await expect.poll(() => ids(echo)).toBe("e1 e2");
    await fake.kill("n2");
    fake.expire("echo", "e1");
    await expect.poll(() => ids(echo)).toBe("e2");
  },
);

test("a watch is resumed after the last revision it saw", async () => {
  const { fake, registry } = await start(2);
  fake.put("echo", "e1");
  const echo = await registry.service("echo").ready();
  fake.broadcast({ type: "sync", revision: 7 });
  await expect.poll(() => echo.state.revision).toBe(7);
  await fake.kill("n1");
  await expect.poll(() => fake.requests("GET", "/v1/watch").length).toBe(2);
  expect(fake.requests("GET", "/v1/watch")[1]?.query.get("afterRevision")).toBe("7");
});

test("a member that is closing sends its watchers to another", async () => {
  const { fake, registry } = await start(2);
  await registry.service("echo").ready({ min: 0 });
  fake.broadcast({ type: "goaway", revision: 0, reconnectInMs: 1 });
  await expect.poll(() => fake.openWatches).toEqual(["n2"]);
});

test("a watch that has fallen silent is dead, and is opened at another member", async () => {
  const { fake, registry } = await start(2, { watchIdleMs: 100 });
  fake.put("echo", "e1");
  const echo = await registry.service("echo").ready();
  await expect.poll(() => fake.openWatches).toEqual(["n2"]);
  expect(ids(echo)).toBe("e1");
});

test("when all members are away the last list is kept, and its age is told", async () => {
  const { fake, registry } = await start(2);
  fake.put("echo", "e1");
  const echo = await registry.service("echo", { staleAfterMs: 300 }).ready();
  const events: string[] = [];
  echo.on("stale", ({ ageMs }) => events.push(ageMs >= 300 ? "stale" : "stale too early"));
  const states: unknown[] = [];
  echo.on("fresh", () => {
    events.push("fresh");
    states.push(echo.state);
  });
  await fake.kill("n1");
  await fake.kill("n2");
  await expect.poll(() => events).toEqual(["stale"]);
  expect(ids(echo)).toBe("e1");
  await expect.poll(() => echo.state.lastError).toMatchObject({ code: "unreachable" });
  expect(echo.state).toMatchObject({ stale: true });
  await fake.revive("n2");
  // Where the test is held up, it is stale again by now.
  await expect.poll(() => events.slice(0, 2)).toEqual(["stale", "fresh"]);
  expect(states[0]).toMatchObject({ stale: false, lastError: null });
});

test("waiting for a list ends at its limit, with a reason, or with the signal", async () => {
  const { registry } = await start();
  const echo = registry.service("echo");
  await expect(echo.ready({ timeoutMs: 50 })).rejects.toMatchObject({
    code: "timeout",
    message: expect.stringContaining("echo: 0 instances after 50 ms, waiting for 1") as string,
  });
  const reason = new Error("enough");
  await expect(echo.ready({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

test("waiting for more instances ends when they are there", async () => {
  const { fake, registry } = await start();
  const echo = registry.service("echo");
  const two = echo.ready({ min: 2 });
  fake.put("echo", "e1");
  fake.put("echo", "e2");
  expect(ids(await two)).toBe("e1 e2");
});

test("closing the client ends everybody's waiting", async () => {
  const { registry } = await start();
  const waiting = registry
    .service("echo")
    .ready()
    .catch((error: unknown) => error);
  await registry.close();
  expect(await waiting).toMatchObject({ code: "closed" });
});

test("the same service with the same options is one list", async () => {
  const { registry } = await start();
  const one = registry.service("echo");
  expect(registry.service("echo")).toBe(one);
  expect(registry.service("echo", { tags: ["eu"] })).not.toBe(one);
  await one.close();
  expect(registry.service("echo")).not.toBe(one);
});

test("pick is synchronous, says where to go, and says so when there is nobody", async () => {
  const { fake, registry } = await start();
  const echo = registry.service("echo");
  expect(() => echo.pick()).toThrow(/^\[no_instances\] echo/);
  fake.put("echo", "e1", { host: "::1", port: 8080, scheme: "https" });
  await echo.ready();
  const picked = echo.pick();
  expect([picked.instance.id, picked.url]).toEqual(["e1", "https://[::1]:8080"]);
  picked.done(new Error("it did not work"));
  picked.done();
  expect(echo.ejected.map(({ id }) => id)).toEqual(["e1"]);
});

test("fetch goes on at another instance when one is gone, and leaves that one out for a while", async () => {
  const { fake, registry } = await start();
  const [a, b] = [await provider("a"), await provider("b")];
  fake.put("echo", "a", { port: a.port });
  fake.put("echo", "b", { port: b.port });
  const echo = await registry.service("echo").ready({ min: 2 });
  await stop(a.server);
  const names: string[] = [];
  for (let i = 0; i < 6; i += 1) names.push(await (await echo.fetch("/")).text());
  expect(names).toEqual(["b", "b", "b", "b", "b", "b"]);
  expect(echo.ejected.map(({ id }) => id)).toEqual(["a"]);
});

test("fetch waits for the first list", async () => {
  const { fake, registry } = await start();
  fake.put("echo", "a", { port: (await provider("a")).port });
  expect(await (await registry.service("echo").fetch("/hello?x=1")).text()).toBe("a");
});

test("without an instance fetch says so at once", async () => {
  const { registry } = await start();
  await expect(registry.service("echo").fetch("/")).rejects.toMatchObject({ code: "no_instances" });
});

const attemptMs = 20;

test.each([
  { name: "a GET that broke is repeated", init: {}, fails: "break", calls: 4 },
  { name: "a POST that broke is not", init: { method: "POST", body: "x" }, fails: "break", calls: 1 },
  {
    name: "a POST of a service that knows repetitions is",
    init: { method: "POST", body: "x", retry: "always" },
    fails: "break",
    calls: 4,
  },
  { name: "nothing is repeated if that is not wanted", init: { retry: "never" }, fails: "break", calls: 1 },
  { name: "a GET that is answered 503 is repeated", init: {}, fails: 503, calls: 4 },
  { name: "a GET that is answered 500 is not", init: {}, fails: 500, calls: 1 },
  { name: "a GET that hangs is repeated", init: { attemptTimeoutMs: attemptMs }, fails: "hang", calls: 4 },
] as const)("$name", async ({ init, fails, calls }) => {
  const clock = new HandClock();
  const { fake, registry } = await start(1, {}, { clock });
  const one = await provider("one", () => fails);
  fake.put("echo", "one", { port: one.port });
  const echo = await registry.service("echo").ready();
  let isOver = false;
  const answering = echo
    .fetch("/", init)
    .then(
      (response) => response.status,
      (error: unknown) => (error as Error).name,
    )
    .finally(() => (isOver = true));
  // The time of an attempt runs only once it has arrived.
  for (let attempt = 1; !isOver; attempt += 1) {
    await waitFor(() => clock.advance(0).then(() => isOver || one.seen.length >= attempt), {
      what: `attempt ${attempt} arrives`,
      everyMs: 1,
    });
    await clock.advance(attemptMs);
  }
  const answer = await answering;
  expect(answer).toBe(typeof fails === "number" ? fails : fails === "hang" ? "TimeoutError" : "TypeError");
  expect(one.seen).toHaveLength(calls);
});

test("a POST that reached nobody goes on at another instance", async () => {
  const { fake, registry } = await start();
  const [a, b] = [await provider("a"), await provider("b")];
  await stop(a.server);
  fake.put("echo", "a", { port: a.port });
  fake.put("echo", "b", { port: b.port });
  const echo = await registry.service("echo").ready({ min: 2 });
  for (let i = 0; i < 2; i += 1) {
    expect((await echo.fetch("/", { method: "POST", body: "x" })).status).toBe(200);
  }
  expect(b.seen).toEqual(["POST /", "POST /"]);
});

test("an aborted fetch is not repeated, and not held against the instance", async () => {
  const { fake, registry } = await start();
  const one = await provider("one", () => "hang");
  fake.put("echo", "one", { port: one.port });
  const echo = await registry.service("echo").ready();
  const abort = new AbortController();
  const reason = new Error("enough");
  const call = echo.fetch("/", { signal: abort.signal });
  await expect.poll(() => one.seen.length).toBe(1);
  abort.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(echo.ejected).toEqual([]);
});

test("a watch shows each change once and in order, across members that die", async () => {
  const { fake, registry } = await start(3);
  const abort = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const event of registry.watch({ services: ["echo"], signal: abort.signal })) {
      if (event.type !== "sync") seen.push(event.type === "put" ? event.instance.id : event.type);
    }
  })().catch((error: unknown) => error);
  await expect.poll(() => seen).toEqual(["snapshot"]);
  for (const member of ["n1", "n2"]) {
    fake.put("echo", `before-${member}`);
    await fake.kill(member);
    fake.put("echo", `after-${member}`);
  }
  const changes = ["before-n1", "after-n1", "before-n2", "after-n2"];
  await expect.poll(() => seen).toEqual(["snapshot", ...changes]);
  const reason = new Error("enough");
  abort.abort(reason);
  expect(await reading).toBe(reason);
  await expect.poll(() => fake.openWatches).toEqual([]);
});

test("a watch that is refused says why", async () => {
  const { fake, registry } = await start();
  fake.misbehave = () => ({
    status: 400,
    body: { code: "invalid_argument", detail: "bad prefix", outcome: "none", retryable: false },
  });
  await expect(registry.watch({ prefixes: ["?"] }).next()).rejects.toMatchObject({
    code: "invalid_argument",
  });
});

test("a reader that stops closes its connection", async () => {
  const { fake, registry } = await start();
  fake.put("echo", "e1");
  for await (const event of registry.watch()) {
    expect(event.type).toBe("snapshot");
    break;
  }
  await expect.poll(() => fake.openWatches).toEqual([]);
});
