import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { RegistryError } from "../../src/client/errors.ts";
import { Registry, type RegistryEnvironment, type RegistryOptions } from "../../src/client/registry.ts";
import { FakeRegistry, unhurried } from "../support/fake-registry-server.ts";
import { HandClock } from "../support/hand-clock.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** The client draws zeros: it begins at n1, takes the next one in order, and never waits between rounds. */
async function start(
  members: number,
  options: Partial<RegistryOptions> = {},
  environment: Partial<RegistryEnvironment> = {},
) {
  const fake = await FakeRegistry.start(members);
  const registry = new Registry(
    { servers: fake.urls, deregisterOnExit: false, ...unhurried, ...options },
    { random: () => 0, session: "s1", ...environment },
  );
  closers.push(
    () => fake.close(),
    () => registry.close(),
  );
  return { fake, registry };
}

async function failure(promise: Promise<unknown>): Promise<RegistryError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RegistryError);
  return error as RegistryError;
}

const noLeader = {
  status: 503,
  body: { code: "no_leader", retryable: true, outcome: "not_applied", detail: "no leader" },
};

test("a call goes on at another member when the first is gone", async () => {
  const { fake, registry } = await start(3);
  fake.put("echo", "e1");
  await fake.kill("n1");
  const list = await registry.discover("echo");
  expect(list.instances.map(({ id }) => id)).toEqual(["e1"]);
  expect(list.source).toMatchObject({ member: "n2", leader: "n1", term: 3, revision: 1, staleMs: 0 });
});

test("a call goes on at another member when the first says 503, and stays there afterwards", async () => {
  const { fake, registry } = await start(2);
  fake.misbehave = ({ member }) => (member === "n1" ? noLeader : undefined);
  await registry.discover("echo");
  await registry.discover("echo");
  expect(fake.seen.map(({ member }) => member)).toEqual(["n1", "n2", "n2"]);
});

test("a member that hangs costs one attempt's time, not the call's", async () => {
  const clock = new HandClock();
  const { fake, registry } = await start(2, { attemptTimeoutMs: 50 }, { clock });
  fake.misbehave = ({ member }) => (member === "n1" ? "hang" : undefined);
  const call = registry.discover("echo");
  await expect.poll(() => fake.seen.length).toBe(1);
  await clock.advance(50);
  await call;
  expect(fake.seen.map(({ member }) => member)).toEqual(["n1", "n2"]);
});

test("a write that broke after it was sent is repeated with the same key, and takes effect once", async () => {
  const { fake, registry } = await start(2);
  fake.misbehave = ({ member }) => (member === "n1" ? "breakAfter" : undefined);
  const registration = await registry.register({ service: "echo", port: 80, host: "h" });
  const [first, second] = fake.requests("PUT");
  expect(first?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
  expect(second?.headers["idempotency-key"]).toBe(first?.headers["idempotency-key"]);
  expect(fake.revision).toBe(1);
  expect(registration.incarnation).toBe(1);
});

test("a member is told to give up before the client does", async () => {
  const { fake, registry } = await start(1, { attemptTimeoutMs: 1000 });
  await registry.register({ service: "echo", port: 80, host: "h" });
  expect(fake.requests("PUT")[0]?.query.get("timeoutMs")).toBe("900");
});

test("the outcome is unknown if any attempt may have taken effect", async () => {
  const { fake, registry } = await start(2);
  fake.misbehave = ({ member }) => (member === "n1" ? "break" : noLeader);
  const error = await failure(registry.register({ service: "echo", port: 80 }));
  expect(error.outcome).toBe("unknown");
  expect(error.message.startsWith(`[${error.code}] PUT /v1/services/echo/`)).toBe(true);
});

test("the outcome is not_applied if no attempt reached a member", async () => {
  const { fake, registry } = await start(2);
  await fake.kill("n1");
  await fake.kill("n2");
  const error = await failure(registry.register({ service: "echo", port: 80 }));
  expect(error).toMatchObject({ code: "unreachable", outcome: "not_applied", retryable: true, status: null });
});

test("a refusal is not repeated, and arrives with everything that was said", async () => {
  const { fake, registry } = await start(2);
  const errors = [{ pointer: "/port", detail: "must be at most 65535" }];
  fake.misbehave = () => ({
    status: 400,
    body: {
      code: "invalid_argument",
      detail: "bad port",
      outcome: "not_applied",
      retryable: false,
      requestId: "r9",
      errors,
    },
  });
  const error = await failure(registry.register({ service: "echo", port: 99_999 }));
  expect(error).toMatchObject({
    code: "invalid_argument",
    status: 400,
    outcome: "not_applied",
    retryable: false,
    requestId: "r9",
    errors,
  });
  expect(error.message).toContain("bad port");
  expect(fake.seen).toHaveLength(1);
});

test("too many requests is waited out at the same member, as long as it asks", async () => {
  const { fake, registry } = await start(2);
  let refusals = 1;
  fake.misbehave = () =>
    refusals-- > 0
      ? {
          status: 429,
          body: { code: "rate_limited", outcome: "none", retryable: true },
          headers: { "retry-after": "0.2" },
        }
      : undefined;
  const before = performance.now();
  await registry.discover("echo");
  expect(performance.now() - before).toBeGreaterThanOrEqual(190);
  expect(fake.seen.map(({ member }) => member)).toEqual(["n1", "n1"]);
});

test.each([
  { name: "a page of HTML with 502", status: 502, body: "<html>bad gateway</html>", code: "unavailable" },
  { name: "a page of HTML with 200", status: 200, body: "<html>welcome</html>", code: "internal" },
])(
  "$name, from something between client and member, is an error that says so",
  async ({ status, body, code }) => {
    const { fake, registry } = await start(1);
    fake.misbehave = () => ({ status, body });
    expect(await failure(registry.discover("echo"))).toMatchObject({ code, status, retryable: true });
  },
);

test("an aborted call rejects with the reason of its signal, also while it waits", async () => {
  const { fake, registry } = await start(1);
  fake.misbehave = () => "hang";
  const abort = new AbortController();
  const call = registry.discover("echo", { signal: abort.signal });
  const reason = new Error("enough");
  await expect.poll(() => fake.seen.length).toBe(1);
  abort.abort(reason);
  await expect(call).rejects.toBe(reason);
});

test("a read waits for what this client has written", async () => {
  const { fake, registry } = await start(1);
  await registry.discover("echo");
  await registry.register({ service: "echo", port: 80 });
  await registry.discover("echo");
  const asked = fake.requests("GET").map(({ query }) => query.get("minRevision"));
  expect(asked).toEqual([null, "1"]);
});

test("a query is sent as the API spells it", async () => {
  const { fake, registry } = await start(1);
  await registry.discover("echo", {
    namespace: "team a",
    status: ["up", "starting"],
    tags: ["x&y"],
    metadata: { "k=": "v" },
    order: "weighted",
    limit: 3,
  });
  const [seen] = fake.seen;
  expect(seen?.path).toBe("/v1/namespaces/team a/services/echo/instances");
  expect([...(seen?.query ?? [])]).toEqual([
    ["status", "up"],
    ["status", "starting"],
    ["tag", "x&y"],
    ["meta.k=", "v"],
    ["limit", "3"],
    ["order", "weighted"],
  ]);
});

test("the client says who it is, and shows its token", async () => {
  const { fake, registry } = await start(1, { clientName: "checkout", token: "t0" });
  await registry.discover("echo");
  expect(fake.seen[0]?.headers).toMatchObject({
    "user-agent": "rollcall-client (checkout)",
    authorization: "Bearer t0",
  });
});

test("an answer larger than the limit is refused instead of filling the memory", async () => {
  const huge = createServer((_request, response) => {
    const piece = Buffer.alloc(1024 * 1024, " ");
    const write = (): void => {
      while (response.write(piece));
    };
    response.on("drain", write);
    write();
  });
  await new Promise<void>((resolve) => huge.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(huge.address() as AddressInfo).port}`;
  const registry = new Registry({ servers: [url], timeoutMs: 30_000, attemptTimeoutMs: 30_000 });
  closers.push(
    () => new Promise((resolve) => huge.close(resolve)),
    () => registry.close(),
  );
  const error = await failure(registry.discover("echo"));
  expect(error).toMatchObject({ code: "too_large", retryable: false });
});

test("closing the client ends the calls that are under way", async () => {
  const { fake, registry } = await start(1);
  fake.misbehave = () => "hang";
  const call = failure(registry.discover("echo"));
  await expect.poll(() => fake.seen.length).toBe(1);
  await registry.close();
  expect((await call).code).toBe("closed");
});

test("a closed client refuses further calls", async () => {
  const { registry } = await start(1);
  await registry.close();
  const error = await failure(registry.discover("echo"));
  expect(error.code).toBe("closed");
});
