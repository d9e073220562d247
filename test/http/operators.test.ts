import { expect, test } from "vitest";
import { serve } from "./harness.ts";

const path = "/v1/services/web/instances/a1";

test("an override wins over what the client declares, shows both, and survives a new registration", async () => {
  const { ask, register, get } = await serve();
  await register("a1", { weight: 5, tags: ["blue"], session: "s1" });
  const body = { weight: 0, status: "draining", reason: "suspected leak", endsInMs: 60_000 };
  const put = await ask("PUT", `${path}/override`, { body });
  expect([put.status, put.json.changed, put.json.revision]).toEqual([200, true, 2]);
  await register("a1", { weight: 6, session: "s2" });
  const { instance } = (await get(path)).json;
  expect(instance).toMatchObject({
    weight: 0,
    status: "draining",
    override: { weight: 0, status: "draining", reason: "suspected leak", endsInMs: 60_000 },
    declared: { weight: 6, status: "up" },
  });
  expect((await get("/v1/services/web/instances")).json.instances).toEqual([]);
});

test("a list shows the layer without what depends on the moment, so that it stays the same bytes", async () => {
  const { ask, register, get, member } = await serve();
  await register("a1");
  await ask("PUT", `${path}/override`, { body: { weight: 3, reason: "x", endsInMs: 60_000 } });
  const before = await get("/v1/services/web/instances");
  member.advance(5_000);
  const after = await get("/v1/services/web/instances");
  expect(before.json.instances[0].override).toEqual({ weight: 3, reason: "x" });
  expect(after.headers.etag).toBe(before.headers.etag);
  expect((await get(path)).json.instance.override.endsInMs).toBe(55_000);
});

test("a layer ends by its time, or when it is taken away", async () => {
  const { ask, register, get, member } = await serve();
  await register("a1", { ttlMs: 600_000 });
  await ask("PUT", `${path}/override`, { body: { weight: 3, reason: "x", endsInMs: 10_000 } });
  member.advance(11_000);
  expect((await get(path)).json.instance).toMatchObject({ weight: 1 });
  await ask("PUT", `${path}/override`, { body: { weight: 4, reason: "x" } });
  const gone = await ask("DELETE", `${path}/override`);
  expect([gone.json.changed, gone.json.instance.weight, gone.json.instance.override]).toEqual([
    true,
    1,
    undefined,
  ]);
});

test("a key that was used for another layer is a conflict", async () => {
  const { ask, register } = await serve();
  await register("a1");
  const headers = { "Idempotency-Key": "k1" };
  const first = await ask("PUT", `${path}/override`, { body: { weight: 3, reason: "x" }, headers });
  const again = await ask("PUT", `${path}/override`, { body: { weight: 3, reason: "x" }, headers });
  expect([again.status, again.json.revision]).toEqual([200, first.json.revision]);
  const other = await ask("PUT", `${path}/override`, { body: { weight: 4, reason: "x" }, headers });
  expect([other.status, other.json.code]).toEqual([409, "conflict"]);
});

test("a layer that sets nothing, gives no reason, or is for nobody is refused", async () => {
  const { ask, register } = await serve();
  await register("a1");
  const nothing = await ask("PUT", `${path}/override`, { body: { reason: "x" } });
  expect(nothing.json.detail).toContain("must set at least one of weight, tags and status");
  const noReason = await ask("PUT", `${path}/override`, { body: { weight: 1 } });
  expect(noReason.json.errors[0].pointer).toBe("/reason");
  const nobody = await ask("PUT", "/v1/services/web/instances/none/override", {
    body: { weight: 1, reason: "x" },
  });
  expect(nobody.json.code).toBe("not_registered");
});

test("settings change by name; those not named stay", async () => {
  const { ask, get } = await serve();
  const settings = "/v1/services/web/settings";
  expect((await get(settings)).json.settings.protectionMinInstances).toBe(5);
  const put = await ask("PUT", settings, { body: { protectionMinInstances: 10 } });
  expect([put.status, put.json.settings.protectionMaxExpiredPercent]).toEqual([200, 50]);
  await ask("PUT", settings, { body: { protectionMaxExpiredPercent: 100 } });
  expect((await get(settings)).json.settings).toMatchObject({
    protectionMinInstances: 10,
    protectionMaxExpiredPercent: 100,
  });
  const wrong = await ask("PUT", settings, { body: { protectionMaxExpiredPercent: 101 } });
  expect(wrong.json.errors[0].pointer).toBe("/protectionMaxExpiredPercent");
});

test("the history tells who came and went and why, newest first, in pages", async () => {
  const { ask, register, get, member } = await serve();
  const { registeredAt } = (await register("a1", { ttlMs: 1_000 })).json.instance;
  await register("a2");
  await ask("PATCH", "/v1/services/web/instances/a2", { body: { weight: 2 } });
  member.advance(1_500);
  await ask("DELETE", "/v1/services/web/instances/a2");
  const history = "/v1/services/web/history";
  const { events } = (await get(history)).json;
  expect(events.map((event: { type: string; id: string }) => `${event.type} ${event.id}`)).toEqual([
    "deregistered a2",
    "expired a1",
    "patched a2",
    "registered a2",
    "registered a1",
  ]);
  expect(events[1]).toMatchObject({ revision: 4, incarnation: 1, lastRenewal: registeredAt });
  const page = (await get(`${history}?limit=2&id=a2`)).json;
  expect([page.events.length, page.next]).toEqual([2, "3"]);
  const rest = (await get(`${history}?limit=2&id=a2&cursor=${page.next}`)).json;
  expect([rest.events.map((event: { type: string }) => event.type), rest.next]).toEqual([
    ["registered"],
    undefined,
  ]);
});
