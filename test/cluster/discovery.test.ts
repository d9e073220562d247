import { expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { TestCluster } from "../support/cluster.ts";
import { quickest } from "../support/in-time.ts";
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
  // One second, and the time that one round of looking takes.
  const limitMs = ttlMs + 1_000 + 100;
  const tookMs = await quickest(limitMs, async (measurement) => {
    const service = `web-${measurement}`;
    const silent = { service, id: "silent", ttlMs };
    const alive = { service, id: "alive", ttlMs };
    let renewedAt = performance.now();
    await register(cluster, alive);
    const asked = performance.now();
    await register(cluster, silent);
    const answered = performance.now();

    let goneAt: number | null = null;
    for (let turn = 0; goneAt === null; turn += 1) {
      const member = cluster.members[turn % 3];
      if (member === undefined) throw new Error("three members run");
      const sentAt = performance.now();
      const renewed = await cluster.request(member, "POST", `${instancePath(alive)}/renew`);
      const { ids } = await listAt(cluster, "n1", service);
      const seenAt = performance.now();
      // Its lease may have run out too: the machine stood still for longer, or elected nobody.
      if (seenAt - renewedAt >= ttlMs) return Number.POSITIVE_INFINITY;
      expect([200, 503, 504]).toContain(renewed.status);
      if (renewed.status === 200) renewedAt = sentAt;
      expect(ids).toContain("alive");
      if (!ids.includes("silent")) goneAt = seenAt;
      await sleep(20);
    }
    expect(goneAt - asked).toBeGreaterThanOrEqual(ttlMs);
    return goneAt - answered;
  });
  expect(tookMs).toBeLessThanOrEqual(limitMs);
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
  const ttlMs = 3_000;
  let alive = { service: "web", id: "alive-0", ttlMs };
  let renewedAt = performance.now();
  await register(cluster, alive);
  /** Nobody could be asked for so long that its lease may have run out. */
  const isOverdue = (): boolean => performance.now() - renewedAt >= ttlMs;
  let isOver = false;
  let renewals = 0;
  let losses = 0;
  const renewing = (async () => {
    for (let turn = 0; !isOver; turn += 1) {
      const { running } = cluster;
      const member = running[turn % running.length];
      const sentAt = performance.now();
      // A member that has just been killed, or has no leader, is passed over: a client asks another one.
      const answer =
        member === undefined
          ? null
          : await cluster
              .request(member, "POST", `${instancePath(alive)}/renew?timeoutMs=500`)
              .catch(() => null);
      // Whatever is refused must be so for want of a leader or of time, never because the lease had run out.
      const allowed = [200, 503, 504, undefined];
      expect(isOverdue() ? [...allowed, 404] : allowed).toContain(answer?.status);
      if (answer?.status === 200) {
        renewedAt = sentAt;
        renewals += 1;
      }
      if (answer?.status === 404) {
        const another = { ...alive, id: `alive-${losses + 1}` };
        const registeredAt = performance.now();
        await register(cluster, another);
        alive = another;
        renewedAt = registeredAt;
        losses += 1;
      }
      await sleep(answer?.status === 200 ? 500 : 20);
    }
  })();
  let survived = 0;
  for (let kills = 0; survived < 5; kills += 1) {
    expect(kills, "kills through which the machine gave nobody the time to renew").toBeLessThan(20);
    const lossesBefore = losses;
    const leader = await cluster.leader();
    await cluster.member(leader).kill();
    const successor = await cluster.leader();
    const { ids } = await listAt(cluster, successor, "web");
    const mustBeListed = losses === lossesBefore && !isOverdue();
    expect(ids).toEqual(mustBeListed ? [alive.id] : ids);
    cluster.member(leader).start();
    await cluster.ready();
    const renewalsBefore = renewals;
    await waitFor(() => renewals > renewalsBefore, { what: "it renews again after the failover" });
    if (losses === lossesBefore) survived += 1;
  }
  isOver = true;
  await renewing;
});
