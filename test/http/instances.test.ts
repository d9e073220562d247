import { expect, test } from "vitest";
import { RollcallError } from "../../src/lib/errors.ts";
import { serve } from "./harness.ts";

const path = "/v1/services/web/instances/a1";

test("a registration shows its defaults, its lease and when to renew", async () => {
  const { register } = await serve();
  const { status, json } = await register("a1", { zone: "eu-1a", metadata: { b: "2", a: "1" } });
  expect(status).toBe(201);
  expect(json).toMatchObject({ created: true, changed: true, revision: 1 });
  expect(json.instance).toEqual({
    namespace: "default",
    service: "web",
    id: "a1",
    host: "10.0.0.1",
    port: 8080,
    zone: "eu-1a",
    weight: 1,
    tags: [],
    metadata: { a: "1", b: "2" },
    status: "up",
    ttlMs: 30_000,
    incarnation: 1,
    revision: 1,
    registeredAt: "2025-10-09T08:53:21.000Z",
    expiresInMs: 30_000,
  });
  // A third of the TTL, less up to a fifth of that.
  expect(json.renewAfterMs).toBeGreaterThanOrEqual(8_000);
  expect(json.renewAfterMs).toBeLessThanOrEqual(10_000);
});

test("the same body from the same session only renews; from another session it is another incarnation", async () => {
  const { register } = await serve();
  await register("a1", { session: "s1" });
  const again = await register("a1", { session: "s1" });
  expect([again.status, again.json.created, again.json.changed, again.json.revision]).toEqual([
    200,
    false,
    false,
    1,
  ]);
  const taken = await register("a1", { session: "s2" });
  expect([taken.status, taken.json.changed, taken.json.instance.incarnation]).toEqual([200, true, 2]);
});

test("the session is never shown", async () => {
  const { register, get } = await serve();
  await register("a1", { session: "s-secret" });
  expect((await get(path)).text + (await get("/v1/services/web/instances")).text).not.toContain("s-secret");
});

test("If-None-Match: * registers only what is not there", async () => {
  const { ask, register } = await serve();
  const onlyNew = { body: { host: "h", port: 1 }, headers: { "If-None-Match": "*" } };
  expect((await ask("PUT", path, onlyNew)).status).toBe(201);
  const refused = await ask("PUT", path, onlyNew);
  expect(refused.status).toBe(412);
  expect(refused.json).toMatchObject({
    code: "precondition_failed",
    outcome: "not_applied",
    currentRevision: 1,
  });
  expect((await register("a1")).status).toBe(200);
});

test("If-Match takes the ETag of an earlier answer, and refuses when the instance has changed since", async () => {
  const { ask, register, get } = await serve();
  await register("a1");
  const { etag = "" } = (await get(path)).headers;
  expect(etag).toBe('"1"');
  const changed = await ask("PATCH", path, { body: { weight: 2 }, headers: { "If-Match": etag } });
  expect([changed.status, changed.headers.etag]).toEqual([200, '"2"']);
  for (const method of ["PATCH", "PUT"]) {
    const body = method === "PUT" ? { host: "h", port: 1 } : { weight: 3 };
    const refused = await ask(method, path, { body, headers: { "If-Match": etag } });
    expect([refused.status, refused.json.currentRevision]).toEqual([412, 2]);
  }
});

test("preconditions that mean nothing are refused, not ignored", async () => {
  const { ask, register } = await serve();
  await register("a1");
  const cases: [method: string, headers: Record<string, string>, pointer: string][] = [
    ["PUT", { "If-Match": "1" }, "If-Match"],
    ["PUT", { "If-Match": 'W/"1"' }, "If-Match"],
    ["PUT", { "If-Match": '"1", "2"' }, "If-Match"],
    ["PUT", { "If-Match": '"99999999999999999"' }, "If-Match"],
    ["PUT", { "If-None-Match": '"1"' }, "If-None-Match"],
    ["PUT", { "If-None-Match": "*", "If-Match": '"1"' }, "If-Match"],
    ["PATCH", { "If-None-Match": "*" }, "If-None-Match"],
    ["PUT", { "Idempotency-Key": "two words" }, "Idempotency-Key"],
    ["PUT", { "Idempotency-Key": "x".repeat(65) }, "Idempotency-Key"],
  ];
  for (const [method, headers, pointer] of cases) {
    const body = method === "PUT" ? { host: "h", port: 1 } : { weight: 3 };
    const refused = await ask(method, path, { body, headers });
    expect([refused.status, refused.json.errors[0].pointer], JSON.stringify(headers)).toEqual([400, pointer]);
  }
});

test("a merge patch changes what it names, removes with null, and leaves the rest", async () => {
  const { ask, register } = await serve();
  await register("a1", { zone: "z1", version: "1.0", tags: ["x"], metadata: { keep: "1", drop: "2" } });
  const { status, json } = await ask("PATCH", path, {
    body: { zone: null, weight: 7, metadata: { drop: null, add: "3" } },
    headers: { "Content-Type": "application/merge-patch+json" },
  });
  expect([status, json.changed, json.revision]).toEqual([200, true, 2]);
  expect(json.instance).toMatchObject({
    version: "1.0",
    weight: 7,
    tags: ["x"],
    metadata: { keep: "1", add: "3" },
  });
  expect(json.instance).not.toHaveProperty("zone");
  const nothing = await ask("PATCH", path, { body: {} });
  expect([nothing.json.changed, nothing.json.revision]).toEqual([false, 2]);
});

test("a patch or deregistration that names an older incarnation is superseded", async () => {
  const { ask, register } = await serve();
  await register("a1", { session: "s1" });
  await register("a1", { session: "s2" });
  for (const [method, body] of [
    ["PATCH", { weight: 2 }],
    ["DELETE", undefined],
  ] as const) {
    const refused = await ask(method, `${path}?incarnation=1`, { body });
    expect([refused.status, refused.json.code]).toEqual([409, "superseded"]);
  }
  expect((await ask("DELETE", `${path}?incarnation=2`)).status).toBe(200);
});

test("what is not registered cannot be patched, deregistered or shown", async () => {
  const { ask } = await serve();
  for (const method of ["PATCH", "DELETE", "GET"]) {
    const missing = await ask(method, path, method === "PATCH" ? { body: {} } : {});
    const outcome = method === "GET" ? "none" : "not_applied";
    expect([missing.status, missing.json.code, missing.json.outcome]).toEqual([
      404,
      "not_registered",
      outcome,
    ]);
  }
});

test("a deregistration answers with the registry's revision, and the instance is gone", async () => {
  const { ask, register, get } = await serve();
  await register("a1");
  await register("a2");
  expect((await ask("DELETE", path)).json).toEqual({ revision: 3 });
  expect((await get(path)).status).toBe(404);
});

test("a single instance shows what is left of its lease, by the member's cluster clock", async () => {
  const { register, get, member } = await serve();
  await register("a1", { ttlMs: 10_000 });
  member.advance(4_000);
  expect((await get(path)).json.instance.expiresInMs).toBe(6_000);
  member.advance(6_002);
  expect((await get(path)).json.code).toBe("not_registered");
});

test("a namespace has the same tree, apart from the default one", async () => {
  const { ask, register, get } = await serve();
  await register("a1");
  const staging = "/v1/namespaces/staging/services/web/instances";
  const put = await ask("PUT", `${staging}/a1`, { body: { host: "h", port: 1 } });
  expect([put.status, put.json.instance.namespace]).toEqual([201, "staging"]);
  expect((await ask("DELETE", path)).status).toBe(200);
  expect((await get(staging)).json.instances).toHaveLength(1);
  expect((await get("/v1/namespaces/default/services/web/instances")).json.instances).toEqual([]);
});

test("names may use every allowed character, escaped or not", async () => {
  const { ask, get } = await serve();
  const target = "/v1/services/A.b_c:d@e-9/instances/0%40x";
  expect((await ask("PUT", target, { body: { host: "h", port: 1 } })).json.instance).toMatchObject({
    service: "A.b_c:d@e-9",
    id: "0@x",
  });
  expect((await get("/v1/services/A.b_c%3Ad@e-9/instances/0@x")).status).toBe(200);
});

test("a repeat with the same Idempotency-Key gets the first result; another request with it is a conflict", async () => {
  const { ask } = await serve();
  const headers = { "Idempotency-Key": "k1" };
  const first = await ask("PUT", path, { body: { host: "h", port: 1 }, headers });
  const again = await ask("PUT", path, { body: { host: "h", port: 1 }, headers });
  expect([again.status, again.json.created, again.json.revision]).toEqual([201, true, first.json.revision]);
  const other = await ask("PUT", path, { body: { host: "other", port: 1 }, headers });
  expect([other.status, other.json.code]).toEqual([409, "conflict"]);
});

test("timeoutMs and the key reach the member; the default is 5 s", async () => {
  const { ask, member } = await serve();
  await ask("PUT", `${path}?timeoutMs=250`, {
    body: { host: "h", port: 1 },
    headers: { "Idempotency-Key": "k" },
  });
  await ask("DELETE", path);
  expect(member.submitted.map(({ options }) => options)).toEqual([
    { timeoutMs: 250, idempotencyKey: "k", by: null },
    { timeoutMs: 5_000, idempotencyKey: null, by: null },
  ]);
});

test("a drain waits until everybody who watches has been told, and names who has not", async () => {
  const { ask, register, member } = await serve();
  await register("a1");
  const done = await ask("POST", `${path}/drain`);
  expect(done.json).toEqual({ revision: 2, propagated: true });
  member.unreachable = ["n3"];
  const partly = await ask("POST", `${path}/drain`, { body: { reason: "deploy", waitMs: 100 } });
  expect(partly.json).toEqual({ revision: 2, propagated: false, waitingFor: ["n3"] });
});

test("what the member refuses is passed on, with its outcome", async () => {
  const { register, member } = await serve();
  const cases = [
    ["no_leader", 503, "not_applied"],
    ["unavailable", 503, "not_applied"],
    ["overloaded", 503, "not_applied"],
    ["rate_limited", 429, "not_applied"],
    ["storage_full", 507, "not_applied"],
    ["commit_timeout", 504, "unknown"],
    ["conflict", 409, "not_applied"],
    ["unauthenticated", 401, "not_applied"],
    ["forbidden", 403, "not_applied"],
  ] as const;
  for (const [code, status, outcome] of cases) {
    member.refusals.push(new RollcallError(code, `refused as ${code}`, { outcome, retryAfterMs: 1_500 }));
    const refused = await register("a1");
    expect([refused.status, refused.json.code, refused.json.outcome]).toEqual([status, code, outcome]);
    expect([refused.headers["retry-after"], refused.json.retryAfterMs]).toEqual(["2", 1_500]);
  }
  expect(member.registry.instanceCount).toBe(0);
});
