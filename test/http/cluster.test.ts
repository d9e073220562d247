import { expect, test } from "vitest";
import { RollcallError } from "../../src/lib/errors.ts";
import { serve } from "./harness.ts";

test("the cluster shows every member in its role, this one always reachable, others as the leader sees them", async () => {
  const { get } = await serve();
  const { json } = await get("/v1/cluster");
  expect(json).toMatchObject({
    clusterId: "c-test",
    member: "n1",
    leader: "n1",
    term: 3,
    quorum: 2,
    failuresTolerated: 1,
  });
  const rows = json.members.map((row: Record<string, unknown>) => [
    row["id"],
    row["role"],
    row["voter"],
    row["reachable"],
    row["lastContactMs"],
  ]);
  expect(rows).toEqual([
    ["n1", "leader", true, true, 0],
    ["n2", "follower", true, true, 12],
    ["n3", "recovering", true, true, 9],
    ["n4", "learner", false, false, null],
  ]);
});

test("the picture and the hash can be had when no read can", async () => {
  const { get, member, register } = await serve();
  await register("a");
  member.read = () => Promise.reject(new RollcallError("unavailable", "no reads now"));
  member.leaderId = null;
  expect((await get("/v1/cluster")).json.leader).toBeNull();
  const { json } = await get("/v1/cluster/hash");
  expect(json).toEqual({ member: "n1", appliedIndex: 1, revision: 1, hash: member.registry.stateHash() });
  expect((await get("/v1/cluster?minRevision=1")).status).toBe(503);
});

test("membership changes reach the member, and answer with the cluster", async () => {
  const { ask, member } = await serve();
  const body = { id: "n5", peerUrl: "http://10.0.0.5:7501", clientUrl: "https://n5.example:7401" };
  for (const reply of [
    await ask("POST", "/v1/cluster/members", { body }),
    await ask("POST", "/v1/cluster/members/n4/promote"),
    await ask("DELETE", "/v1/cluster/members/n4"),
  ])
    expect([reply.status, reply.json.members.length]).toEqual([200, 4]);
  expect(member.membershipRequests).toEqual([
    { kind: "addLearner", ...body },
    { kind: "promote", id: "n4" },
    { kind: "remove", id: "n4" },
  ]);
});

test("who is there already, or votes already, is named as what stands in the way", async () => {
  const { ask, member } = await serve();
  const urls = { peerUrl: "http://10.0.0.5:7501", clientUrl: "http://10.0.0.5:7401" };
  const add = async (id: string, refusal: RollcallError): Promise<readonly unknown[]> => {
    member.refusals.push(refusal);
    const { status, json } = await ask("POST", "/v1/cluster/members", { body: { id, ...urls } });
    return [status, json.code, json.detail];
  };
  const unreached = new RollcallError("unavailable", "n2 cannot be added: it cannot be reached");
  expect(await add("n2", unreached)).toEqual([
    409,
    "conflict",
    "n2 is a member already; GET /v1/cluster shows every member.",
  ]);
  expect(await add("n5", unreached)).toEqual([503, "unavailable", unreached.message]);
  const unknown = new RollcallError("commit_timeout", "it may yet take effect", { outcome: "unknown" });
  expect(await add("n2", unknown)).toEqual([504, "commit_timeout", unknown.message]);

  for (const [id, detail] of [
    ["n2", "n2 is a voter already; GET /v1/cluster shows every member."],
    ["n4", "not caught up"],
  ]) {
    member.refusals.push(new RollcallError("conflict", "not caught up"));
    const { status, json } = await ask("POST", `/v1/cluster/members/${id}/promote`);
    expect([status, json.detail]).toEqual([409, detail]);
  }
});

test("a member is added by its plain address only", async () => {
  const { ask } = await serve();
  for (const peerUrl of [
    "n5:7501",
    "ftp://n5:1",
    "http://u:p@n5:1",
    "http://n5:1/x",
    "http://n5:1/?x",
    7,
    "",
  ]) {
    const refused = await ask("POST", "/v1/cluster/members", {
      body: { id: "n5", peerUrl, clientUrl: "http://n5:1" },
    });
    expect([refused.status, refused.json.errors[0].pointer], String(peerUrl)).toEqual([400, "/peerUrl"]);
  }
});

test("leadership is handed to a member, or to the most caught-up one", async () => {
  const { ask, member } = await serve();
  expect((await ask("POST", "/v1/cluster/leader", { body: { to: "n2" } })).json).toEqual({
    leader: "n1",
    term: 3,
  });
  expect((await ask("POST", "/v1/cluster/leader")).status).toBe(200);
  expect(member.transfers).toEqual(["n2", null]);
  member.refusals.push(new RollcallError("conflict", "n4 is a learner"));
  expect((await ask("POST", "/v1/cluster/leader", { body: { to: "n4" } })).status).toBe(409);
});

test("a backup is streamed as the member gives it", async () => {
  const { ask } = await serve();
  expect((await ask("GET", "/v1/cluster/backup")).text).toBe("all of it");
});

test("compacting answers with the index", async () => {
  const { ask, register } = await serve();
  await register("a");
  expect((await ask("POST", "/v1/cluster/compact")).json).toEqual({ index: 1 });
});
