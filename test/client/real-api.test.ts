// The SDK against the API as it really is: the server of src/http before a real registry, without consensus. What the stand-in of the other tests
// only pretends is held against the truth here.

import { expect, onTestFinished, test } from "vitest";
import { Registry } from "../../src/client/registry.ts";
import type { WatchEvent } from "../../src/client/types.ts";
import { RollcallError } from "../../src/lib/errors.ts";
import { serve } from "../http/harness.ts";

async function start() {
  const served = await serve();
  const registry = new Registry({ servers: [served.url], deregisterOnExit: false, timeoutMs: 60_000 });
  onTestFinished(() => registry.close());
  const another = new Registry({ servers: [served.url], deregisterOnExit: false }, { session: "another" });
  onTestFinished(() => another.close());
  return { ...served, registry, another };
}

const web = { service: "web", id: "w1", host: "10.0.0.7", port: 8080 } as const;

test("a registration is read back as it was declared", async () => {
  const { registry } = await start();
  const declaration = {
    ...web,
    scheme: "https",
    version: "2.1",
    zone: "eu-1a",
    weight: 10,
    tags: ["a", "b"],
    metadata: { commit: "c0ffee" },
    ttlMs: 60_000,
  };
  const registration = await registry.register(declaration);
  const { instances, revision, source } = await registry.discover("web");
  expect(instances).toMatchObject([{ ...declaration, namespace: "default", status: "up" }]);
  expect(registration.instance).toMatchObject(instances[0] ?? {});
  expect(revision).toBe(registration.incarnation);
  expect(source).toMatchObject({ member: "n1", leader: "n1", term: 3, staleMs: 0 });
  expect((await registry.instance(web)).expiresInMs).toBeGreaterThan(50_000);
});

test("a renewal gives an instance another TTL", async () => {
  const { registry, member } = await start();
  const registration = await registry.register({ ...web, ttlMs: 1_000 });
  const key = { namespace: "default", service: web.service, id: web.id };
  const leftMs = (): number => (member.registry.deadline(key) ?? 0) - member.clusterNow();
  member.advance(900);
  expect(leftMs()).toBe(100);
  await expect.poll(leftMs).toBe(1_000);
  member.advance(900);
  expect(registration.state).toBe("registered");
  expect(registration.incarnation).toBe(1);
});

test("an instance that expired is registered again by itself", async () => {
  const { registry, member } = await start();
  const registration = await registry.register({ ...web, ttlMs: 1_000 });
  member.advance(2_000);
  await expect.poll(() => registration.incarnation).toBeGreaterThan(1);
  expect((await registry.discover("web")).instances).toHaveLength(1);
});

test("another process under the same id ends a registration", async () => {
  const { registry, another } = await start();
  const first = await registry.register({ ...web, ttlMs: 1_000 });
  const second = await another.register({ ...web, ttlMs: 1_000 });
  expect(second.incarnation).toBeGreaterThan(first.incarnation);
  await expect.poll(() => first.state).toBe("superseded");
  await first.close();
  expect((await registry.discover("web")).instances).toHaveLength(1);
});

test("a change and a deregistration arrive", async () => {
  const { registry } = await start();
  const registration = await registry.register(web);
  await registration.update({ status: "draining", metadata: { reason: "deploy" } });
  expect((await registry.discover("web")).instances).toEqual([]);
  expect((await registry.discover("web", { status: "any" })).instances).toMatchObject([
    { status: "draining", metadata: { reason: "deploy" } },
  ]);
  expect(await registration.close()).toBe(true);
  expect((await registry.discover("web", { status: "any" })).instances).toEqual([]);
  await expect(registry.instance(web)).rejects.toMatchObject({ code: "not_registered", status: 404 });
});

test("every part of a query is understood", async () => {
  const { registry } = await start();
  await registry.register({ ...web, tags: ["eu"], version: "2", zone: "a", metadata: { "k.x": "v y" } });
  const found = await registry.discover("web", {
    status: ["up", "starting"],
    tags: ["eu"],
    version: "2",
    zone: "a",
    metadata: { "k.x": "v y" },
    limit: 5,
    order: "near",
    nearZone: "a",
    consistency: "linearizable",
    maxStaleMs: 1_000,
    afterRevision: 0,
    waitMs: 1_000,
  });
  expect(found.instances).toHaveLength(1);
});

test("a refusal of the registry arrives with its field", async () => {
  const { registry } = await start();
  const refused = await registry
    .register({ ...web, port: 70_000 })
    .catch((error: unknown) => error as { errors: { pointer: string }[] });
  expect(refused).toMatchObject({ code: "invalid_argument", status: 400, outcome: "not_applied" });
  expect((refused as { errors: { pointer: string }[] }).errors[0]?.pointer).toBe("/port");
});

test("without a leader a write is tried until there is one", async () => {
  const { registry, member } = await start();
  const noLeader = new RollcallError("no_leader", "no leader", { retryAfterMs: 10 });
  member.refusals.push(noLeader, noLeader);
  expect((await registry.register(web)).state).toBe("registered");
  expect(member.refusals).toEqual([]);
});

test("a watch tells of each change, and a list follows it", async () => {
  const { registry, another, member } = await start();
  const list = registry.service("web");
  const events: WatchEvent[] = [];
  const reading = (async () => {
    for await (const event of registry.watch({ services: ["web"] })) events.push(event);
  })().catch(() => {});
  await expect.poll(() => events.map(({ type }) => type)).toEqual(["snapshot"]);
  const registration = await another.register({ ...web, ttlMs: 600_000 });
  await registration.update({ weight: 5 });
  await expect.poll(() => list.instances).toMatchObject([{ id: "w1", weight: 5 }]);
  expect(list.state.source).toBe("watch");
  await registration.close();
  await expect.poll(() => list.instances).toEqual([]);
  expect(events.slice(1).map(({ type, revision }) => `${type}@${revision}`)).toEqual([
    "put@1",
    "put@2",
    "delete@3",
  ]);
  expect(member.registry.revision).toBe(3);
  await registry.close();
  await reading;
});

test("a long poll is answered by the change it waits for", async () => {
  const { registry, another } = await start();
  const { revision } = await registry.discover("web");
  const next = registry.discover("web", { afterRevision: revision, waitMs: 60_000 });
  await another.register(web);
  expect((await next).instances).toHaveLength(1);
});
