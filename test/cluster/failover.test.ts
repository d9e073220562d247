import { expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { TestCluster } from "../support/cluster.ts";
import { instancePath, listAt, register, registerAll, type Acknowledged } from "../support/registrations.ts";

test("no acknowledged registration is lost in ten rounds of killing the leader in the middle of a thousand", async () => {
  const cluster = await TestCluster.start();
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < 10; round += 1) {
    const wanted = Array.from({ length: 1_000 }, (_, index) => ({
      service: `round-${round}`,
      id: `i-${index}`,
    }));
    const leader = await cluster.leader();
    const kill: { done?: Promise<unknown> } = {};
    const done = await registerAll(cluster, wanted, {
      clients: 32,
      onAcknowledged: (count) => {
        if (count >= 400) kill.done ??= cluster.member(leader).kill();
      },
    });
    await kill.done;
    expect(cluster.member(leader).isRunning).toBe(false);
    acknowledged.push(...done);
    cluster.member(leader).start();
    await cluster.ready();
  }
  expect(acknowledged).toHaveLength(10_000);

  const state = await cluster.sameState();
  expect(state.revision).toBe(10_000);
  for (const member of cluster.members) {
    for (let round = 0; round < 10; round += 1) {
      const { ids } = await listAt(cluster, member.id, `round-${round}`);
      expect([member.id, round, new Set(ids).size]).toEqual([member.id, round, 1_000]);
    }
  }
});

test("a renewal acknowledged at 90 % of the TTL holds for a full TTL, though the leader dies 50 ms later", async () => {
  const cluster = await TestCluster.start({ flags: { "election-grace-ms": "0" } });
  const ttlMs = 4_000;
  const instance = { service: "web", id: "a1", ttlMs };
  const leader = await cluster.leader();
  const [follower] = cluster.others(leader);
  if (follower === undefined) throw new Error("three members run");
  await register(cluster, instance);
  await sleep(ttlMs * 0.9);
  const renewedAt = performance.now();
  const renewal = await cluster.request(follower, "POST", `${instancePath(instance)}/renew`);
  expect(renewal.status).toBe(200);
  await sleep(50);
  await cluster.member(leader).kill();

  // Listed by those who go on, at any moment before the TTL has passed since the renewal was sent.
  let looks = 0;
  while (performance.now() - renewedAt < ttlMs - 50) {
    for (const { id } of cluster.running) {
      const list = await listAt(cluster, id, "web");
      const afterMs = performance.now() - renewedAt;
      // An answer that took longer than the lease says nothing.
      const ids = afterMs < ttlMs ? list.ids : ["a1"];
      expect([id, afterMs, ids]).toEqual([id, afterMs, ["a1"]]);
      looks += 1;
    }
    await sleep(25);
  }
  expect(looks).toBeGreaterThan(10);
  await expect.poll(async () => (await listAt(cluster, follower.id, "web")).ids).toEqual([]);
});
