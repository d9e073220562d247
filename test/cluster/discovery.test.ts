import { expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { TestCluster } from "../support/cluster.ts";
import { instancePath, listAt, register } from "../support/registrations.ts";
import { waitFor } from "../support/wait-for.ts";

test("what is registered at one member is listed by each, at the same revision", async () => {
  const cluster = await TestCluster.start();
  const acknowledged = [];
  for (const [turn, id] of ["a1", "a2", "a3"].entries()) {
    acknowledged.push(await register(cluster, { service: "web", id }, turn));
  }
  const revision = Math.max(...acknowledged.map((one) => one.revision));
  for (const member of cluster.members) {
    const list = await listAt(cluster, member.id, "web", `status=any&minRevision=${revision}`);
    expect([member.id, list]).toEqual([member.id, { revision, ids: ["a1", "a2", "a3"] }]);
  }
});

test("an instance whose lease runs out leaves the list within its TTL and a second; one that renews stays", async () => {
  const cluster = await TestCluster.start();
  const ttlMs = 2_000;
  const silent = { service: "web", id: "silent", ttlMs };
  const alive = { service: "web", id: "alive", ttlMs };
  await register(cluster, alive);
  const asked = performance.now();
  await register(cluster, silent);
  const answered = performance.now();

  let goneAt: number | null = null;
  for (let turn = 0; goneAt === null; turn += 1) {
    const member = cluster.members[turn % 3];
    if (member === undefined) throw new Error("three members run");
    const renewed = await cluster.request(member, "POST", `${instancePath(alive)}/renew`);
    expect(renewed.status).toBe(200);
    const { ids } = await listAt(cluster, "n1", "web");
    expect(ids).toContain("alive");
    if (!ids.includes("silent")) goneAt = performance.now();
    expect(performance.now() - answered).toBeLessThan(ttlMs + 2_000);
    await sleep(20);
  }
  expect(goneAt - asked).toBeGreaterThanOrEqual(ttlMs);
  // One second, and the time that one round of looking takes.
  expect(goneAt - answered).toBeLessThanOrEqual(ttlMs + 1_000 + 100);
  expect((await listAt(cluster, "n1", "web")).ids).toEqual(["alive"]);
});

test("one that is deregistered is gone at once, from each member's list", async () => {
  const cluster = await TestCluster.start();
  await register(cluster, { service: "web", id: "a1" });
  const path = instancePath({ service: "web", id: "a1" });
  const answer = await cluster.request<{ revision: number }>(cluster.member("n2"), "DELETE", path);
  expect(answer.status).toBe(200);
  for (const member of cluster.members) {
    const list = await listAt(cluster, member.id, "web", `minRevision=${answer.body.revision}`);
    expect([member.id, list.ids]).toEqual([member.id, []]);
  }
});

test("a renewing instance stays listed through five leader kills", async () => {
  const cluster = await TestCluster.start();
  const alive = { service: "web", id: "alive", ttlMs: 3_000 };
  await register(cluster, alive);
  let isOver = false;
  let renewals = 0;
  const renewing = (async () => {
    for (let turn = 0; !isOver; turn += 1) {
      const member = cluster.running[turn % cluster.running.length];
      // A member that has just been killed, or has no leader, is passed over: a client asks another one.
      const answer =
        member === undefined
          ? null
          : await cluster
              .request(member, "POST", `${instancePath(alive)}/renew?timeoutMs=500`)
              .catch(() => null);
      // Whatever is refused must be so for want of a leader or of time, never because the lease had run out.
      expect([200, 503, 504, undefined]).toContain(answer?.status);
      if (answer?.status === 200) renewals += 1;
      await sleep(answer?.status === 200 ? 500 : 20);
    }
  })();
  for (let kill = 0; kill < 5; kill += 1) {
    const leader = await cluster.leader();
    await cluster.member(leader).kill();
    const successor = await cluster.leader();
    expect((await listAt(cluster, successor, "web")).ids).toEqual(["alive"]);
    cluster.member(leader).start();
    await cluster.ready();
    const before = renewals;
    await waitFor(() => renewals > before, { what: "it renews again after the failover" });
  }
  isOver = true;
  await renewing;
  expect((await listAt(cluster, "n1", "web")).ids).toEqual(["alive"]);
});
