import { expect, test } from "vitest";
import { RollcallError } from "../../src/lib/errors.ts";
import { open, serve, until, type Served } from "./harness.ts";

const list = "/v1/services/web/instances";

async function serveSix(): Promise<Served> {
  const served = await serve();
  const { register } = served;
  await register("a", {
    zone: "z1",
    version: "1",
    tags: ["x", "y"],
    metadata: { tier: "gold", "a b": "c&d" },
  });
  await register("b", { zone: "z2", version: "1", tags: ["x"], metadata: { tier: "gold" } });
  await register("c", { zone: "z2", version: "2", weight: 0 });
  await register("d", { status: "starting" });
  await register("e", { status: "draining", zone: "z1" });
  await register("f", { status: "down" });
  return served;
}

const idsOf = (reply: { readonly json: { readonly instances: { readonly id: string }[] } }): string =>
  reply.json.instances.map(({ id }) => id).join("");

test("an unknown service is an empty list, not an error", async () => {
  const { get } = await serve();
  const { status, json } = await get(list);
  expect([status, json]).toEqual([
    200,
    { namespace: "default", service: "web", revision: 0, protected: false, instances: [] },
  ]);
});

test("filters: by default what is up; all conditions must hold", async () => {
  const { get } = await serveSix();
  const cases: [query: string, ids: string][] = [
    ["", "abc"],
    ["?status=any", "abcdef"],
    ["?status=starting&status=down", "df"],
    ["?tag=x", "ab"],
    ["?tag=x&tag=y", "a"],
    ["?version=1", "ab"],
    ["?zone=z2&version=2", "c"],
    ["?meta.tier=gold", "ab"],
    ["?meta.tier=gold&meta.a+b=c%26d", "a"],
    ["?meta.tier=silver", ""],
    ["?limit=2", "ab"],
    ["?zone=z1&status=any", "ae"],
    ["?status=any&limit=1&zone=z2", "b"],
  ];
  for (const [query, ids] of cases) expect(idsOf(await get(list + query)), query).toBe(ids);
});

test("the answer carries the service's own revision, whatever happens elsewhere", async () => {
  const { get, register } = await serve();
  await register("a");
  await register("a", {}, "other");
  const reply = await get(list);
  expect([reply.json.revision, reply.headers["rollcall-revision"]]).toEqual([1, "2"]);
});

test("order=random and order=weighted show every instance; weight 0 comes last", async () => {
  const { get } = await serveSix();
  const seen = new Set<string>();
  for (let i = 0; i < 60; i += 1) {
    const random = idsOf(await get(`${list}?order=random`));
    expect(random.split("").toSorted().join("")).toBe("abc");
    seen.add(random);
    expect(idsOf(await get(`${list}?order=weighted`)).at(-1)).toBe("c");
  }
  expect(seen.size).toBeGreaterThan(3);
});

test("order=roundRobin starts one further with each answer, for each question by itself", async () => {
  const { get } = await serveSix();
  const turns: string[] = [];
  for (let i = 0; i < 4; i += 1) turns.push(idsOf(await get(`${list}?order=roundRobin`)));
  expect(turns).toEqual(["abc", "bca", "cab", "abc"]);
  expect(idsOf(await get(`${list}?order=roundRobin&tag=x`))).toBe("ab");
  expect(idsOf(await get(`${list}?order=roundRobin&limit=1`))).toBe("a");
  expect(idsOf(await get(`${list}?order=roundRobin&limit=1`))).toBe("b");
});

test("order=near lists the zone first, and then the others", async () => {
  const { get } = await serveSix();
  for (let i = 0; i < 20; i += 1) {
    expect(idsOf(await get(`${list}?order=near&nearZone=z1`))).toMatch(/^a(bc|cb)$/);
    expect(idsOf(await get(`${list}?order=near&nearZone=z2`))).toMatch(/^(bc|cb)a$/);
  }
  expect((await get(`${list}?order=near`)).json.errors[0].pointer).toBe("nearZone");
  expect((await get(`${list}?nearZone=z1`)).json.errors[0].pointer).toBe("nearZone");
});

test("with order=id an ETag names the answer, and If-None-Match gives 304 until it changes", async () => {
  const { get, register, ask } = await serve();
  await register("a");
  const first = await get(list);
  const { etag = "" } = first.headers;
  expect(etag).toMatch(/^"1-[\w-]{22}"$/);
  const same = await get(list, { "If-None-Match": `"other", W/${etag}` });
  expect([same.status, same.text, same.headers.etag, same.headers["rollcall-member"]]).toEqual([
    304,
    "",
    etag,
    "n1",
  ]);
  await ask("POST", `${list}/a/renew`);
  await register("b", {}, "other");
  expect((await get(list, { "If-None-Match": etag })).status).toBe(304);
  await register("b");
  const changed = await get(list, { "If-None-Match": etag });
  expect([changed.status, idsOf(changed)]).toEqual([200, "ab"]);
  expect(changed.headers.etag).not.toBe(etag);
  expect((await get(`${list}?order=random`)).headers.etag).toBeUndefined();
});

test("questions are kept apart, and one question is the same however it is written", async () => {
  const { get } = await serveSix();
  const questions = {
    "": "abc",
    "?tag=x": "ab",
    "?status=any": "abcdef",
    "?limit=1": "a",
    "?zone=1": "",
    "?version=2": "c",
  };
  for (let round = 0; round < 2; round += 1) {
    for (const [query, ids] of Object.entries(questions))
      expect(idsOf(await get(list + query)), query).toBe(ids);
  }
  const one = await get(`${list}?tag=x&tag=y&status=up&status=down`);
  const other = await get(`${list}?status=down&tag=y&status=up&tag=x`);
  expect(one.headers.etag).toBe(other.headers.etag);
});

test("HEAD answers like GET, without the body", async () => {
  const { ask, register } = await serve();
  await register("a");
  const head = await ask("HEAD", list);
  expect([head.status, head.text, Number(head.headers["content-length"]) > 100]).toEqual([200, "", true]);
});

test("afterRevision waits for the service to change, and for nothing else", async () => {
  const { get, ask, register, member } = await serve();
  await register("a");
  let isAnswered = false;
  const waiting = get(`${list}?afterRevision=1&waitMs=60000`).finally(() => (isAnswered = true));
  await until(() => member.reads === 1);
  await register("a", {}, "other");
  await ask("POST", `${list}/a/renew`);
  await get("/v1/services");
  expect(isAnswered).toBe(false);
  await register("b");
  const reply = await waiting;
  expect([reply.json.revision, idsOf(reply)]).toEqual([3, "ab"]);
});

test("afterRevision answers at once when the service has already changed, and at the timeout as it is", async () => {
  const { get, register } = await serve();
  await register("a");
  expect(idsOf(await get(`${list}?afterRevision=0&waitMs=60000`))).toBe("a");
  const late = await get(`${list}?afterRevision=1&waitMs=20`);
  expect([late.status, late.json.revision]).toEqual([200, 1]);
});

test("afterRevision wakes for an expiry too", async () => {
  const { get, register, member } = await serve();
  await register("a", { ttlMs: 1_000 });
  const waiting = get(`${list}?afterRevision=1&waitMs=60000`);
  await until(() => member.reads === 1);
  member.advance(1_500);
  expect(idsOf(await waiting)).toBe("");
});

test("only so many may wait at once; who goes away makes room", async () => {
  const { get, port, register, member } = await serve({ watchLimits: { streamsMax: 1 } });
  await register("a");
  const first = new AbortController();
  const waiting = open({ port, path: `${list}?afterRevision=1&waitMs=60000`, signal: first.signal });
  const gone = waiting.catch(() => "gone");
  await until(() => member.reads === 1);
  const refused = await get(`${list}?afterRevision=1&waitMs=1`);
  expect([refused.json.code, refused.headers["retry-after"]]).toEqual(["overloaded", "1"]);
  first.abort();
  expect(await gone).toBe("gone");
  let reply = refused;
  while (reply.status !== 200) reply = await get(`${list}?afterRevision=1&waitMs=1`);
  expect(idsOf(reply)).toBe("a");
});

test("read levels: minRevision waits, then gives up; maxStaleMs and linearizable are refused when they cannot be had", async () => {
  const { get, member, register } = await serve();
  await register("a");
  expect((await get(`${list}?minRevision=1`)).status).toBe(200);
  const behind = await get(`${list}?minRevision=9&waitMs=20`);
  expect([behind.status, behind.json.code, behind.json.outcome]).toEqual([
    504,
    "revision_not_reached",
    "none",
  ]);
  const waiting = get(`${list}?minRevision=2&waitMs=60000`);
  await register("b");
  expect(idsOf(await waiting)).toBe("ab");
  member.stale = 800;
  expect((await get(`${list}?maxStaleMs=800`)).status).toBe(200);
  const stale = await get(`${list}?maxStaleMs=799`);
  expect([stale.status, stale.json.code, stale.headers["rollcall-stale-ms"]]).toEqual([
    503,
    "too_stale",
    "800",
  ]);
  expect((await get(`${list}?consistency=linearizable`)).status).toBe(200);
  member.leaderId = null;
  const leaderless = await get(`${list}?consistency=linearizable`);
  expect([leaderless.status, leaderless.json.code, leaderless.json.outcome]).toEqual([
    503,
    "no_leader",
    "none",
  ]);
  expect((await get(list)).headers["rollcall-leader"]).toBe("");
});

test("read levels are taken by every read under /v1", async () => {
  const { get, member } = await serve();
  member.leaderId = null;
  const paths = [
    list,
    `${list}/a`,
    "/v1/services",
    "/v1/namespaces",
    "/v1/namespaces/default/services",
    "/v1/services/web/history",
    "/v1/services/web/explain",
    "/v1/services/web/settings",
    "/v1/cluster",
    "/v1/cluster/hash",
  ];
  for (const path of paths)
    expect((await get(`${path}?consistency=linearizable`)).json.code, path).toBe("no_leader");
});

test("protection shows in the answer", async () => {
  const { get, member, register } = await serve();
  for (const id of "abcdefgh") await register(id, { ttlMs: 1_000 });
  member.advance(1_500);
  const { json } = await get(list);
  expect(json.protected).toBe(true);
  expect(json.instances.filter((instance: { suspect?: true }) => instance.suspect).length).toBe(4);
  expect(json.instances).toHaveLength(4);
});

test("explain says for each instance why it is returned or not, the limit included", async () => {
  const { get } = await serveSix();
  const { json } = await get("/v1/services/web/explain?tag=x&limit=1");
  expect(json.instances[0]).toEqual({ id: "a", returned: true, reasons: [] });
  expect(json.instances[1]).toEqual({
    id: "b",
    returned: false,
    reasons: ["1 before it already fill limit=1"],
  });
  expect(json.instances[3].reasons).toHaveLength(2);
  expect(json.instances[3].reasons.join()).toContain("status is starting");
});

test("an error inside a member's read is passed on as it is", async () => {
  const { get, member } = await serve();
  member.read = () => Promise.reject(new RollcallError("unavailable", "the member is stopping"));
  const reply = await get(list);
  expect([reply.status, reply.json.detail, reply.headers["retry-after"]]).toEqual([
    503,
    "the member is stopping",
    "1",
  ]);
});
