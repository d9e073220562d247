import { expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { TestCluster } from "../support/cluster.ts";
import { instancePath, listAt, register, registerAll, type Acknowledged } from "../support/registrations.ts";
import { waitFor } from "../support/wait-for.ts";

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
  /** How often the list was looked at while the renewal held; none if the renewal came too late. */
  const looksAfterRenewal = async (service: string): Promise<number> => {
    const instance = { service, id: "a1", ttlMs };
    for (const member of cluster.members) if (!member.isRunning) member.start();
    const leader = await cluster.ready();
    const [follower] = cluster.others(leader);
    if (follower === undefined) throw new Error("three members run");
    const registeredAt = performance.now();
    await register(cluster, instance);
    await sleep(ttlMs * 0.9);
    const renewedAt = performance.now();
    const renewal = await cluster.request(follower, "POST", `${instancePath(instance)}/renew`);
    // On a machine that stood still there may be no leader, and the lease may have run out before.
    const mayBeGone = performance.now() - registeredAt >= ttlMs;
    expect(mayBeGone ? [200, 503, 504, 404] : [200, 503, 504]).toContain(renewal.status);
    if (renewal.status !== 200) return 0;
    await sleep(50);
    await cluster.member(leader).kill();

    // Listed by those who go on, at any moment before the TTL has passed since the renewal was sent.
    let looks = 0;
    while (performance.now() - renewedAt < ttlMs - 50) {
      for (const { id } of cluster.running) {
        const { ids } = await listAt(cluster, id, service);
        const afterMs = performance.now() - renewedAt;
        // An answer that took longer than the lease says nothing.
        if (afterMs >= ttlMs) continue;
        expect([id, afterMs, ids]).toEqual([id, afterMs, ["a1"]]);
        looks += 1;
      }
      await sleep(25);
    }
    await waitFor(async () => (await listAt(cluster, follower.id, service)).ids.length === 0, {
      what: "it leaves the list in the end",
    });
    return looks;
  };
  let looks = 0;
  for (let attempt = 1; looks <= 10; attempt += 1) {
    expect(attempt, "times that the machine stood still").toBeLessThan(10);
    looks = await looksAfterRenewal(`web-${attempt}`);
  }
});
