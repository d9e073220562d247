import { afterEach, expect, test } from "vitest";
import { RegistryError } from "../../src/client/errors.ts";
import type { Registration } from "../../src/client/registration.ts";
import { Registry, type RegistryOptions } from "../../src/client/registry.ts";
import { FakeRegistry, unhurried } from "../support/fake-registry-server.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function start(members = 1, options: Partial<RegistryOptions> = {}) {
  const fake = await FakeRegistry.start(members);
  const registry = new Registry(
    { servers: fake.urls, deregisterOnExit: false, ...unhurried, ...options },
    { random: () => 0, session: "s1" },
  );
  closers.push(
    () => fake.close(),
    () => registry.close(),
  );
  return { fake, registry };
}

function history(registration: Registration): string[] {
  const events: string[] = [];
  for (const event of ["registered", "lost", "regained", "superseded"] as const) {
    registration.on(event, (...details: unknown[]) => {
      events.push(event === "lost" ? `lost: ${String(details[0])}` : event);
    });
  }
  return events;
}

test("a registration says everything that was declared, and the session of the process", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({
    service: "echo",
    id: "e1",
    host: "10.0.0.7",
    port: 8080,
    tags: ["eu"],
    metadata: { commit: "c0ffee" },
    zone: "a",
    ttlMs: 5_000,
  });
  expect(fake.requests("PUT")[0]?.body).toEqual({
    host: "10.0.0.7",
    port: 8080,
    tags: ["eu"],
    metadata: { commit: "c0ffee" },
    zone: "a",
    ttlMs: 5_000,
    session: "s1",
  });
  expect(registration).toMatchObject({
    namespace: "default",
    service: "echo",
    id: "e1",
    state: "registered",
  });
  expect(registration.instance).toMatchObject({ incarnation: 1, zone: "a" });
});

test.each([
  { host: "10.0.0.7", id: "10.0.0.7:80" },
  { host: "::1", id: "1:80" },
  { host: "fe80::1%eth0", id: "fe80::1-eth0:80" },
])("without an id, the place $host is the id $id", async ({ host, id }) => {
  const { registry } = await start();
  const registration = await registry.register({ service: "echo", host, port: 80 });
  expect(registration.id).toBe(id);
});

test("a registration is renewed under its incarnation, again and again", async () => {
  const { fake, registry } = await start();
  await registry.register({ service: "echo", id: "e1", port: 80 });
  await expect.poll(() => fake.requests("POST", "/v1/renewals").length).toBeGreaterThanOrEqual(3);
  expect(fake.requests("POST", "/v1/renewals")[0]?.body).toEqual({
    renewals: [{ namespace: "default", service: "echo", id: "e1", incarnation: 1 }],
  });
  expect(fake.requests("PUT")).toHaveLength(1);
});

test("renewals of several instances travel together", async () => {
  const { fake, registry } = await start();
  fake.renewAfterMs = 100;
  await Promise.all(["e1", "e2", "e3"].map((id) => registry.register({ service: "echo", id, port: 80 })));
  const sizes = (): number[] =>
    fake
      .requests("POST", "/v1/renewals")
      .map(({ body }) => (body as { renewals: unknown[] }).renewals.length);
  // One that was registered long before the others may have been renewed alone before they came.
  await expect.poll(() => sizes().slice(-2)).toEqual([3, 3]);
});

test("a lease that the registry does not know is registered again, under a new incarnation", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  const events = history(registration);
  fake.expire("echo", "e1");
  await expect.poll(() => events).toEqual(["lost: not_registered", "regained"]);
  expect(registration).toMatchObject({ state: "registered", incarnation: 3 });
  const [first, second] = fake.requests("PUT");
  expect(second?.body).toEqual(first?.body);
  expect(second?.headers["idempotency-key"]).not.toBe(first?.headers["idempotency-key"]);
});

test("registering again goes on until the registry takes it", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  let refusals = 3;
  fake.misbehave = ({ method }) =>
    method === "PUT" && refusals-- > 0 ? { status: 507, body: { code: "storage_full" } } : undefined;
  fake.expire("echo", "e1");
  await expect.poll(() => registration.incarnation).toBe(3);
  expect(refusals).toBeLessThan(0);
});

test("a lease runs out by the client's own clock when nobody acknowledges, and comes back when somebody does", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80, ttlMs: 1_000 });
  const events = history(registration);
  const regained: object[] = [];
  registration.on("regained", () => {
    const { state, incarnation } = registration;
    regained.push({ state, incarnation, hasTimeLeft: registration.leaseRemainingMs() > 0 });
  });
  await fake.kill("n1");
  await expect.poll(() => registration.state).toBe("lost");
  expect(registration.leaseRemainingMs()).toBe(0);
  await fake.revive("n1");
  await expect.poll(() => regained.length).toBeGreaterThan(0);
  // The registry still knew the lease.
  expect(regained[0]).toEqual({ state: "registered", incarnation: 1, hasTimeLeft: true });
  expect(events.slice(0, 2)).toEqual(["lost: lease_ended", "regained"]);
});

test("renewals go on at another member while one is gone", async () => {
  const { fake, registry } = await start(3);
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  const events = history(registration);
  for (const member of ["n1", "n2"]) {
    await fake.kill(member);
    const before = fake.requests("POST").length;
    await expect.poll(() => fake.requests("POST").length).toBeGreaterThan(before + 2);
  }
  expect(fake.requests("POST").at(-1)?.member).toBe("n3");
  expect(events).toEqual([]);
});

test("superseded is final: no renewal, no registration, no deregistration of the other's instance", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  const events = history(registration);
  const all: string[] = [];
  registry.on("superseded", ({ id }) => all.push(id));
  fake.put("echo", "e1", { session: "another process" });
  await expect.poll(() => registration.state).toBe("superseded");
  const requests = fake.seen.length;
  await expect(registration.update({ weight: 2 })).rejects.toMatchObject({ code: "closed" });
  await registration.close();
  expect(fake.seen.length).toBe(requests);
  expect(fake.get("echo", "e1")?.session).toBe("another process");
  expect([events, all, registry.registrations]).toEqual([["superseded"], ["e1"], []]);
});

test("closing deregisters exactly the own incarnation, and nothing is renewed afterwards", async () => {
  const { fake, registry } = await start();
  {
    await using registration = await registry.register({ service: "echo", id: "e1", port: 80 });
    expect(registration.state).toBe("registered");
  }
  expect(fake.get("echo", "e1")).toBeUndefined();
  expect(fake.requests("DELETE")[0]?.query.get("incarnation")).toBe("1");
  expect(registry.registrations).toEqual([]);
});

test("closing twice deregisters once", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  expect(await Promise.all([registration.close(), registration.close()])).toEqual([true, true]);
  expect(fake.requests("DELETE")).toHaveLength(1);
  expect(registration.state).toBe("closed");
});

test("closing says when the registry did not hear of it, and does not throw", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  await fake.kill("n1");
  expect(await registration.close({ timeoutMs: 50 })).toBe(false);
});

test("an instance that was gone or another's already counts as deregistered", async () => {
  const { fake, registry } = await start();
  fake.renewAfterMs = 10_000;
  const gone = await registry.register({ service: "echo", id: "e1", port: 80 });
  const taken = await registry.register({ service: "echo", id: "e2", port: 80 });
  fake.expire("echo", "e1");
  fake.put("echo", "e2", { session: "another process" });
  expect(await Promise.all([gone.close(), taken.close()])).toEqual([true, true]);
  expect(fake.get("echo", "e2")).toBeDefined();
});

test("closing waits for a registration that is on its way, so that it does not stay behind", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80 });
  let hasAsked = false;
  fake.misbehave = ({ method }) => {
    if (method === "PUT" && !hasAsked) {
      hasAsked = true;
      void registration.close();
    }
    return undefined;
  };
  fake.expire("echo", "e1");
  await expect.poll(() => registration.state).toBe("closed");
  await registration.close();
  expect(fake.get("echo", "e1")).toBeUndefined();
  expect(fake.requests("DELETE").at(-1)?.query.get("incarnation")).toBe("3");
});

test("a change is registered again with the instance", async () => {
  const { fake, registry } = await start();
  const registration = await registry.register({ service: "echo", id: "e1", port: 80, version: "1" });
  expect(await registration.update({ status: "draining", version: undefined })).toMatchObject({
    status: "draining",
  });
  fake.expire("echo", "e1");
  await expect.poll(() => fake.requests("PUT").length).toBe(2);
  expect(fake.requests("PUT")[1]?.body).toMatchObject({ status: "draining", version: "1" });
});

test("a registration that was refused leaves nothing behind", async () => {
  const { fake, registry } = await start();
  fake.misbehave = () => ({
    status: 400,
    body: { code: "invalid_argument", outcome: "not_applied", retryable: false },
  });
  await expect(registry.register({ service: "echo", port: -1 })).rejects.toThrow(RegistryError);
  expect(registry.registrations).toEqual([]);
});

test("a service may start before its registry", async () => {
  const { fake, registry } = await start();
  await fake.kill("n1");
  const registration = registry.register({ service: "echo", id: "e1", port: 80 }, { timeoutMs: 10_000 });
  await fake.revive("n1");
  expect((await registration).state).toBe("registered");
});

test("a client that is closed during a registration leaves nothing behind", async () => {
  const { fake, registry } = await start();
  let closing: Promise<void> = Promise.resolve();
  fake.misbehave = ({ method }) => {
    if (method === "PUT") closing = registry.close();
    return undefined;
  };
  const registration = registry.register({ service: "echo", id: "e1", port: 80 });
  await expect(registration).rejects.toMatchObject({ code: "closed" });
  await closing;
  expect([fake.get("echo", "e1"), registry.registrations]).toEqual([undefined, []]);
});

test("closing the client deregisters everything", async () => {
  const { fake, registry } = await start();
  await registry.register({ service: "echo", id: "e1", port: 80 });
  await registry.register({ service: "other", id: "o1", port: 81 });
  await registry.close();
  expect([fake.get("echo", "e1"), fake.get("other", "o1")]).toEqual([undefined, undefined]);
  await expect(registry.register({ service: "echo", port: 80 })).rejects.toMatchObject({ code: "closed" });
});
