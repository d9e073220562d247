/**
 * The HTTP contract, route by route and code by code, against a real cluster: each call at the leader and at a follower, every answer held
 * against the document that the members serve.
 *
 * One code is not shown here: `internal` means a defect, and a healthy build has none that a client could call up; a switch to make one
 * would be a defect of its own. test/http/problems.test.ts shows it with a real HTTP server over a member that throws.
 */

import { expect, onTestFinished, test } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { Contract, type Asked, type Got } from "../support/contract.ts";
import type { MemberProcess } from "../support/member-process.ts";
import { waitFor } from "../support/wait-for.ts";

/** The calls are made once each, and a machine that stands still for a second must not change who leads. */
const patient = { "election-ms": "2000" };

const registration = { host: "10.0.0.7", port: 8080, ttlMs: 600_000 };

/** What an answer must be: its status, and for a problem its code. */
type Expected = number | readonly [status: number, code: string];

interface Step extends Asked {
  readonly gives: Expected;
  readonly holds?: object;
}

function expected({ gives }: Step): readonly unknown[] {
  return typeof gives === "number" ? [gives, undefined] : gives;
}

/** A row of calls on service `s`, in order. `peerUrl` is that of member n1. */
function rows(s: string, peerUrl: string): readonly Step[] {
  const a = `/v1/services/${s}/instances/a`;
  const put = (path: string, more: Partial<Step>): Step => ({
    method: "PUT",
    path,
    body: registration,
    gives: 200,
    ...more,
  });
  const get = (path: string, gives: Expected = 200, more: Partial<Step> = {}): Step => ({
    method: "GET",
    path,
    gives,
    ...more,
  });
  const post = (path: string, body: unknown, gives: Expected = 200, more: Partial<Step> = {}): Step => ({
    method: "POST",
    path,
    ...(body === undefined ? {} : { body }),
    gives,
    ...more,
  });
  const drop = (path: string, gives: Expected = 200): Step => ({ method: "DELETE", path, gives });
  const key = { service: s, id: "a" };
  return [
    // Instances
    put(a, { body: { ...registration, session: "p1" }, gives: 201, holds: { created: true, changed: true } }),
    put(a, { body: { ...registration, session: "p1" }, holds: { created: false, changed: false } }),
    put(a, { headers: { "if-none-match": "*" }, gives: [412, "precondition_failed"] }),
    put(a, { headers: { "if-match": '"99999999"' }, gives: [412, "precondition_failed"] }),
    put(a, { headers: { "if-match": "7" }, gives: [400, "invalid_argument"] }),
    put(a, { body: { ...registration, prot: 1 }, gives: [400, "invalid_argument"] }),
    put(a, { raw: "{", gives: [400, "invalid_argument"] }),
    put(a, { raw: "x", headers: { "content-type": "text/plain" }, gives: [415, "unsupported_media_type"] }),
    put(a, { raw: " ".repeat(70_000), gives: [413, "too_large"] }),
    put(`/v1/services/-${s}/instances/a`, { gives: [400, "invalid_argument"] }),
    put(`/v1/namespaces/team-${s}/services/${s}/instances/n`, { gives: 201 }),
    get(a, 200, { holds: { instance: { id: "a", host: "10.0.0.7" } } }),
    get(`/v1/services/${s}/instances/none`, [404, "not_registered"]),
    post(`${a}/renew`, undefined, 200, { holds: { ttlMs: 600_000 } }),
    post(`${a}/renew`, { incarnation: 0 }, [409, "superseded"]),
    post(`${a}/renew`, { incarnation: 9_000_000_000 }, [404, "not_registered"]),
    post(`${a}/renew`, { status: "nonsense" }, [400, "invalid_argument"]),
    post(`/v1/services/${s}/instances/none/renew`, {}, [404, "not_registered"]),
    { method: "PATCH", path: a, body: { weight: 7 }, gives: 200, holds: { changed: true } },
    {
      method: "PATCH",
      path: a,
      raw: '{"zone":"z1"}',
      headers: { "content-type": "application/merge-patch+json" },
      gives: 200,
    },
    { method: "PATCH", path: a, body: { id: "b" }, gives: [400, "invalid_argument"] },
    {
      method: "PATCH",
      path: a,
      body: { weight: 1 },
      headers: { "if-match": '"1"' },
      gives: [412, "precondition_failed"],
    },
    {
      method: "PATCH",
      path: `/v1/services/${s}/instances/none`,
      body: { weight: 1 },
      gives: [404, "not_registered"],
    },
    post("/v1/renewals", { renewals: [key, { ...key, id: "none" }] }, 200, {
      holds: { results: [{ ok: true }, { ok: false, code: "not_registered" }] },
    }),
    post("/v1/renewals", { renewals: [] }, 200, { holds: { results: [] } }),
    post("/v1/renewals", undefined, [400, "invalid_argument"]),
    post(
      "/v1/batch",
      {
        operations: [
          { op: "register", ...key, id: "b", host: "h", port: 1 },
          { op: "patch", ...key, id: "b", weight: 2 },
          { op: "renew", ...key, id: "b" },
          { op: "deregister", ...key, id: "none" },
          { op: "register", ...key, id: "b", host: "h", port: 1, ifAbsent: true },
          { op: "deregister", ...key, id: "b" },
        ],
      },
      200,
      {
        holds: {
          results: [
            { status: 201, created: true },
            { status: 200, changed: true },
            { status: 200, ttlMs: 30_000 },
            { status: 404, code: "not_registered" },
            { status: 412, code: "precondition_failed" },
            { status: 200 },
          ],
        },
      },
    ),
    post("/v1/batch", { operations: [{ op: "nonsense", ...key }] }, [400, "invalid_argument"]),
    put(`${a}/override`, {
      body: { weight: 0, reason: "leak" },
      holds: { instance: { weight: 0, declared: { weight: 7 } } },
    }),
    put(`${a}/override`, { body: { reason: "nothing" }, gives: [400, "invalid_argument"] }),
    put(`/v1/services/${s}/instances/none/override`, {
      body: { weight: 0, reason: "x" },
      gives: [404, "not_registered"],
    }),
    drop(`${a}/override`),
    post(`${a}/drain`, { reason: "deploy 7", waitMs: 10_000 }, 200, { holds: { propagated: true } }),
    post(`/v1/services/${s}/instances/none/drain`, {}, [404, "not_registered"]),
    // Discovery
    get(`/v1/services/${s}/instances?status=any`, 200, {
      holds: { service: s, instances: [{ id: "a", status: "draining" }] },
    }),
    get(`/v1/services/${s}/instances?status=up`, 200, { holds: { instances: [] } }),
    get(`/v1/services/${s}/instances?order=near&nearZone=z1&status=any&tag=x&meta.k=v&limit=3`),
    get(`/v1/services/${s}/instances?order=sideways`, [400, "invalid_argument"]),
    get(`/v1/services/${s}/instances?zoen=z1`, [400, "invalid_argument"]),
    get(`/v1/services/${s}/instances?afterRevision=0&waitMs=1000`),
    get(`/v1/services/${s}/instances?afterRevision=999999999&waitMs=50`),
    get(`/v1/services/${s}/instances?consistency=linearizable`),
    get(`/v1/services/${s}/instances?minRevision=999999999&waitMs=50`, [504, "revision_not_reached"]),
    get(`/v1/services/nobody-${s}/instances`, 200, { holds: { instances: [] } }),
    get(`/v1/services/${s}/explain`, 200, { holds: { instances: [{ id: "a", returned: false }] } }),
    get(`/v1/services/${s}/explain?status=nonsense`, [400, "invalid_argument"]),
    get(`/v1/services/${s}/history?id=a&limit=2`, 200, {
      holds: { events: [{ type: "status", reason: "up -> draining: deploy 7" }, {}] },
    }),
    get(`/v1/services/${s}/history?cursor=nonsense`, [400, "invalid_argument"]),
    get(`/v1/services/${s}/settings`, 200, { holds: { settings: { protectionMinInstances: 5 } } }),
    put(`/v1/services/${s}/settings`, {
      body: { protectionMinInstances: 10 },
      holds: { settings: { protectionMinInstances: 10 } },
    }),
    put(`/v1/services/${s}/settings`, {
      body: { protectionMinInstances: -1 },
      gives: [400, "invalid_argument"],
    }),
    get(`/v1/services?prefix=${s}&limit=1`, 200, {
      holds: { services: [{ name: s, instances: { total: 1, draining: 1 } }] },
    }),
    get("/v1/services?cursor=%00", [400, "invalid_argument"]),
    get(`/v1/namespaces/team-${s}/services`, 200, { holds: { services: [{ name: s }] } }),
    get("/v1/namespaces"),
    get("/v1/watch?nonsense=1", [400, "invalid_argument"]),
    get("/v1/watch?afterRevision=999999999", [503, "revision_not_reached"]),
    {
      method: "POST",
      path: "/v1/presence",
      raw: "nonsense\n",
      headers: { "content-type": "application/x-ndjson" },
      gives: [400, "invalid_argument"],
    },
    post("/v1/presence", {}, [400, "invalid_argument"]),
    {
      method: "POST",
      path: "/v1/presence",
      raw: "nonsense\n",
      headers: { "content-type": "text/plain" },
      gives: [415, "unsupported_media_type"],
    },
    drop(`${a}?incarnation=0`, [409, "superseded"]),
    drop(a),
    drop(a, [404, "not_registered"]),
    // Cluster and process
    get("/v1/cluster"),
    get("/v1/cluster/hash"),
    post(
      "/v1/cluster/members",
      { id: "n9", peerUrl: "http://127.0.0.1:1", clientUrl: "http://127.0.0.1:2" },
      [503, "unavailable"],
    ),
    post("/v1/cluster/members", { id: "n1", peerUrl, clientUrl: "http://127.0.0.1:2" }, [409, "conflict"]),
    post("/v1/cluster/members", { id: "n9", peerUrl: "nonsense" }, [400, "invalid_argument"]),
    post("/v1/cluster/members/nobody/promote", undefined, [404, "not_found"]),
    drop("/v1/cluster/members/nobody", [404, "not_found"]),
    post("/v1/cluster/compact", undefined),
    post("/v1/cluster/leader", { to: "nobody" }, [404, "not_found"]),
    get("/livez"),
    get("/readyz"),
    get("/metrics"),
    get("/docs"),
    get("/docs/style.css"),
    get("/openapi.json", 200, { holds: { openapi: "3.1.0" } }),
    get("/errors/superseded", 200, { holds: { code: "superseded" } }),
    get("/errors/nonsense", [400, "invalid_argument"]),
    get("/v1/nothing", [404, "not_found"]),
    get("/nothing", [404, "not_found"]),
    put("/v1/services", { gives: [405, "method_not_allowed"] }),
  ];
}

test("every call does what the contract says, at the leader and at a follower", async () => {
  const cluster = await TestCluster.start({ flags: patient });
  const leader = cluster.member(await cluster.ready());
  const [follower] = cluster.others(leader.id);
  if (follower === undefined) throw new Error("there are three members");
  const contract = await Contract.of(leader);
  for (const [service, member] of [
    ["at-leader", leader],
    ["at-follower", follower],
  ] as const) {
    const steps = rows(service, `http://127.0.0.1:${cluster.member("n1").settings.peerPort}`);
    for (const step of steps) {
      const got = await contract.ask(member, step);
      const what = `${step.method} ${step.path} ${step.raw?.slice(0, 40) ?? ""}`;
      expect([got.status, got.status < 400 ? undefined : got.body.code, what]).toEqual([
        ...expected(step),
        what,
      ]);
      expect(typeof got.body === "string" ? {} : got.body, what).toMatchObject(step.holds ?? {});
    }
  }
  await conditional(contract, follower);
  await streams(contract, leader);
  await transfer(contract, follower);
  const asked = new Set([...contract.seen].map((call) => call.slice(0, call.lastIndexOf(" "))));
  // A backup is a stream of bytes, with tests of its own.
  const elsewhere = ["GET /v1/cluster/backup"];
  expect(contract.calls.filter((call) => !asked.has(call) && !elsewhere.includes(call))).toEqual([]);
});

async function conditional(contract: Contract, member: MemberProcess): Promise<void> {
  const path = "/v1/services/at-leader/instances";
  const first = await contract.ask(member, { method: "GET", path });
  const etag = first.headers.get("etag") ?? "";
  expect(etag).toMatch(/^".+"$/);
  const again = await contract.ask(member, { method: "GET", path, headers: { "if-none-match": etag } });
  expect(again.status).toBe(304);
}

/** The two streams, until their first line. */
async function streams(contract: Contract, member: MemberProcess): Promise<void> {
  const instance = "/v1/services/streamed/instances/a";
  const { body } = await contract.ask(member, { method: "PUT", path: instance, body: registration });
  const { incarnation } = (body as { instance: { incarnation: number } }).instance;
  const present = { instances: [{ service: "streamed", id: "a", incarnation }] };
  const cases: Asked[] = [
    { method: "GET", path: "/v1/watch?service=streamed", headers: { accept: "application/x-ndjson" } },
    {
      method: "POST",
      path: "/v1/presence",
      raw: `${JSON.stringify(present)}\n`,
      headers: { "content-type": "application/x-ndjson" },
    },
  ];
  for (const { method, path, raw, headers = {} } of cases) {
    const stop = new AbortController();
    const response = await fetch(new URL(path, member.clientUrl), {
      method,
      headers,
      signal: stop.signal,
      ...(raw === undefined ? {} : { body: raw }),
    });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    const [line = ""] = Buffer.from(first?.value ?? [])
      .toString()
      .split("\n");
    const got: Got = {
      status: response.status,
      headers: response.headers,
      body: JSON.parse(line) as unknown,
    };
    contract.check({ method, path }, got);
    expect(["snapshot", "attached"]).toContain(got.body.type);
    stop.abort();
  }
}

async function transfer(contract: Contract, member: MemberProcess): Promise<void> {
  const { status } = await contract.ask(member, {
    method: "POST",
    path: "/v1/cluster/leader",
    body: { to: member.id },
  });
  expect(status).toBe(200);
}

test("a cluster that cannot decide says so: no leader, too stale, not known, not serving, too busy", async () => {
  const cluster = await TestCluster.start({ flags: { ...patient, "watches-max": "1" } });
  const leader = cluster.member(await cluster.ready());
  const contract = await Contract.of(leader);
  const path = "/v1/services/web/instances/a";
  const put = (more: Partial<Asked> = {}): Asked => ({ method: "PUT", path, body: registration, ...more });
  const codeOf = async (member: MemberProcess, asked: Asked): Promise<unknown[]> => {
    const { status, body } = await contract.ask(member, asked);
    return [status, body.code, body.outcome];
  };

  const watch = new AbortController();
  onTestFinished(() => watch.abort());
  const watching = await fetch(new URL("/v1/watch", leader.clientUrl), { signal: watch.signal });
  // Node ends an answer that nobody reads or holds.
  watching.body?.getReader();
  expect(await codeOf(leader, { method: "GET", path: "/v1/watch" })).toEqual([503, "overloaded", "none"]);

  const writeAlone = async (): Promise<unknown[]> => {
    const alone = cluster.member(await cluster.leader());
    const others = cluster.others(alone.id);
    for (const other of others) other.pause();
    const got = await codeOf(alone, { ...put(), path: `${path}?timeoutMs=300` });
    for (const other of others) other.resume();
    await cluster.ready();
    return got;
  };
  let got = await writeAlone();
  // One that is held up meanwhile may know that it leads nobody any more.
  while (got[1] === "no_leader") got = await writeAlone();
  expect(got).toEqual([504, "commit_timeout", "unknown"]);

  const [survivor, ...rest] = cluster.members;
  if (survivor === undefined) throw new Error("there are three members");
  for (const member of rest) await member.kill();
  await waitFor(async () => (await codeOf(survivor, { method: "GET", path: "/readyz" }))[0] === 503, {
    what: "the survivor knows that it is alone",
  });
  const started = await waitFor(
    async () => {
      const got = await contract.ask(survivor, { ...put(), path: `${path}?timeoutMs=200` });
      return got.body.code === "no_leader" ? got : null;
    },
    { what: "a write at the survivor finds no leader" },
  );
  expect([started.status, started.body.outcome, started.headers.get("retry-after")]).toEqual([
    503,
    "not_applied",
    "1",
  ]);
  const read = (query: string): Asked => ({ method: "GET", path: `/v1/services/web/instances?${query}` });
  expect(await codeOf(survivor, read("consistency=linearizable&waitMs=200"))).toEqual([
    503,
    "no_leader",
    "none",
  ]);
  expect(await codeOf(survivor, read("maxStaleMs=0"))).toEqual([503, "too_stale", "none"]);
  expect((await codeOf(survivor, read("")))[0]).toBe(200);

  const waiting = await TestCluster.prepare();
  const [alone] = waiting.members;
  if (alone === undefined) throw new Error("there are three members");
  alone.start();
  await waitFor(async () => (await contract.ask(alone, { method: "GET", path: "/livez" })).status === 200, {
    what: "a member without its peers answers probes",
  });
  expect(await codeOf(alone, put())).toEqual([503, "unavailable", "not_applied"]);
});

test("without room on the disks what grows is refused, at every member, and what keeps or removes is not", async () => {
  const cluster = await TestCluster.start({ flags: patient });
  const contract = await Contract.of(cluster.member(await cluster.ready()));
  const path = (id: string): string => `/v1/services/web/instances/${id}`;
  const put = (id: string): Asked => ({ method: "PUT", path: path(id), body: registration });
  for (const { id } of cluster.members)
    expect((await contract.ask(cluster.member(id), put(id))).status).toBe(201);

  // More than any disk has: this takes neither a full disk nor the right to mount a small one.
  await Promise.all(cluster.members.map((member) => member.kill("SIGTERM")));
  for (const member of cluster.members) member.start({ "disk-soft-bytes": String(512 * 1024 ** 4) });
  await cluster.leader();
  for (const member of cluster.members) {
    const refused = await waitFor(
      async () => {
        const got = await contract.ask(member, put(`new-${member.id}`));
        return got.status === 507 ? got : null;
      },
      { what: `${member.id} knows that there is no room` },
    );
    expect(refused.body).toMatchObject({ code: "storage_full", outcome: "not_applied" });
    const renewal = { method: "POST", path: `${path(member.id)}/renew` };
    expect((await contract.ask(member, renewal)).status).toBe(200);
    expect((await contract.ask(member, { method: "DELETE", path: path(member.id) })).status).toBe(200);
  }
});
