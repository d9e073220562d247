import { expect, test } from "vitest";
import { RollcallError } from "../../src/lib/errors.ts";
import { serve } from "./harness.ts";

const path = "/v1/services/web/instances/a1";

test("a renewal needs no body, and starts the TTL again", async () => {
  const { ask, register, get, member } = await serve();
  await register("a1", { ttlMs: 9_000 });
  member.advance(8_000);
  const { status, json } = await ask("POST", `${path}/renew`);
  expect([status, json.ttlMs, json.incarnation]).toEqual([200, 9_000, 1]);
  expect(json.expiresInMs).toBeGreaterThan(8_000);
  expect(json.expiresInMs).toBeLessThanOrEqual(9_000);
  expect(json.renewAfterMs).toBeLessThanOrEqual(3_000);
  member.advance(8_000);
  expect((await get(path)).json.instance.expiresInMs).toBe(1_000);
});

test("a renewal changes no revision, unless it brings another status", async () => {
  const { ask, register } = await serve();
  await register("a1", { status: "starting" });
  expect((await ask("POST", `${path}/renew`, { body: {} })).headers["rollcall-revision"]).toBe("1");
  const up = await ask("POST", `${path}/renew`, { body: { incarnation: 1, status: "up" } });
  expect(up.headers["rollcall-revision"]).toBe("2");
});

test("who is gone must register again; who was replaced must stop", async () => {
  const { ask, register } = await serve();
  const gone = await ask("POST", `${path}/renew`);
  expect([gone.status, gone.json.code]).toEqual([404, "not_registered"]);
  await register("a1", { session: "s1" });
  await register("a1", { session: "s2" });
  const replaced = await ask("POST", `${path}/renew`, { body: { incarnation: 1 } });
  expect([replaced.status, replaced.json.code, replaced.json.retryable]).toEqual([409, "superseded", false]);
  const unheardOf = await ask("POST", `${path}/renew`, { body: { incarnation: 99 } });
  expect([unheardOf.status, unheardOf.json.code]).toEqual([404, "not_registered"]);
});

test("many renewals give one result each, in order, and the pace of the shortest lease", async () => {
  const { ask, register } = await serve();
  await register("a1", { ttlMs: 60_000 });
  await register("a2", { ttlMs: 6_000 });
  const { status, json } = await ask("POST", "/v1/renewals", {
    body: {
      renewals: [
        { service: "web", id: "a2" },
        { service: "web", id: "nobody" },
        { namespace: "default", service: "web", id: "a1", incarnation: 1 },
      ],
    },
  });
  expect(status).toBe(200);
  expect(json.results).toMatchObject([{ ok: true }, { ok: false, code: "not_registered" }, { ok: true }]);
  expect(json.renewAfterMs).toBeLessThanOrEqual(2_000);
});

test("from none to ten thousand renewals are taken at once, one more is not", async () => {
  const { ask, register } = await serve();
  await register("a1");
  const many = (count: number) => ({
    renewals: Array.from({ length: count }, () => ({ service: "web", id: "a1" })),
  });
  const taken = await ask("POST", "/v1/renewals", { body: many(10_000) });
  expect([taken.status, taken.json.results.length]).toEqual([200, 10_000]);
  const none = await ask("POST", "/v1/renewals", { body: many(0) });
  expect([none.status, none.json.results]).toEqual([200, []]);
  const refused = await ask("POST", "/v1/renewals", { body: many(10_001) });
  expect([refused.status, refused.json.errors[0].pointer]).toEqual([400, "/renewals"]);
});

test("when the member can renew nothing, the request fails, so that the client goes elsewhere", async () => {
  const { ask, register, member } = await serve();
  await register("a1");
  const body = {
    renewals: [
      { service: "web", id: "a1" },
      { service: "web", id: "a1" },
    ],
  };
  for (const [code, outcome] of [
    ["no_leader", "not_applied"],
    ["commit_timeout", "unknown"],
  ] as const) {
    member.refusals.push(new RollcallError(code, "not now"));
    const many = await ask("POST", "/v1/renewals", { body });
    expect([many.json.code, many.json.outcome, many.json.retryable]).toEqual([code, outcome, true]);
    member.refusals.push(new RollcallError(code, "not now"));
    expect((await ask("POST", `${path}/renew`)).json).toMatchObject({ code, outcome });
  }
});
