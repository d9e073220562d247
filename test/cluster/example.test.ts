// The example's real provider and consumer against a real cluster: who is listed when, and what a caller notices of it.

import { expect, onTestFinished, test } from "vitest";
import { Registry } from "../../src/client/registry.ts";
import { TestCluster } from "../support/cluster.ts";
import { quickest } from "../support/in-time.ts";
import { ShellProcess } from "../support/shell-process.ts";
import { waitFor } from "../support/wait-for.ts";

function serversOf(cluster: TestCluster): string {
  return cluster.members.map(({ clientUrl }) => clientUrl).join(",");
}

async function startProvider(cluster: TestCluster, id: string, ttlMs = 3_000): Promise<ShellProcess> {
  const servers = serversOf(cluster);
  const provider = new ShellProcess(
    `scripts/example/provider --id ${id} --ttl ${ttlMs} --servers ${servers}`,
  );
  await provider.printed("listed as echo");
  return provider;
}

function client(servers: readonly string[]): Registry {
  const registry = new Registry({ servers, deregisterOnExit: false });
  onTestFinished(() => registry.close());
  return registry;
}

async function listedAt(registry: Registry): Promise<readonly string[]> {
  return (await registry.discover("echo")).instances.map(({ id }) => id);
}

/** As many as its lines tell of. */
function callsOf(consumer: ShellProcess): number {
  const counts = [...consumer.output.matchAll(/ (\d+) calls /g)].map(([, count]) => Number(count));
  return counts.reduce((sum, count) => sum + count, 0);
}

test("a provider that is killed leaves the list of every member within its TTL and 1 s", async () => {
  const cluster = await TestCluster.start();
  const members = cluster.members.map(({ clientUrl }) => client([clientUrl]));
  const areListed = async (count: number): Promise<boolean> =>
    (await Promise.all(members.map(listedAt))).every((ids) => ids.length === count);
  const ttlMs = 3_000;
  const tookMs = await quickest(ttlMs + 1_000, async (measurement) => {
    const provider = await startProvider(cluster, `doomed-${measurement}`, ttlMs);
    await waitFor(() => areListed(1), { what: "every member lists the provider" });
    const killedAt = performance.now();
    provider.signal("SIGKILL");
    await waitFor(() => areListed(0), { what: "no member lists the provider" });
    const goneAfterMs = performance.now() - killedAt;
    // It renews after a third of its TTL, unless it is held up, so two thirds are left at least.
    return goneAfterMs > (ttlMs * 2) / 3 - 100 ? goneAfterMs : Number.POSITIVE_INFINITY;
  });
  expect(tookMs).toBeLessThanOrEqual(ttlMs + 1_000);
});

test("a provider that leaves politely is off every member's list as soon as it has left", async () => {
  const cluster = await TestCluster.start();
  const provider = await startProvider(cluster, "polite");
  const members = cluster.members.map(({ clientUrl }) => client([clientUrl]));
  provider.signal("SIGTERM");
  await provider.printed("SIGTERM: left the list");
  const lists = members.map((member) => member.discover("echo", { consistency: "linearizable" }));
  expect((await Promise.all(lists)).map(({ instances }) => instances)).toEqual([[], [], []]);
  expect(await provider.ended()).toBe(0);
});

/** No renewal that is held up, by an election or a machine that stands still, comes later than this. */
const longTtlMs = 12_000;

test("10,000 calls through five leader kills, a killed and a leaving provider: none fails, and who renews stays", async () => {
  const cluster = await TestCluster.start();
  const start = (id: string): Promise<ShellProcess> => startProvider(cluster, id, longTtlMs);
  const steady = [await start("steady-1"), await start("steady-2")];
  const doomed = await start("doomed");
  const polite = await start("polite");

  const removed: string[] = [];
  const watching = (async () => {
    for await (const event of client(serversOf(cluster).split(",")).watch({ services: ["echo"] })) {
      if (event.type === "delete") removed.push(`${event.id} ${event.reason}`);
    }
  })();
  // It ends with its client, after the test.
  watching.catch(() => {});

  const consumer = new ShellProcess(`scripts/example/consumer --rate 400 --servers ${serversOf(cluster)}`);
  await consumer.printed("retries 0  errors 0");

  for (let kills = 1; kills <= 5; kills += 1) {
    const leader = cluster.member(await cluster.leader());
    await leader.kill("SIGKILL");
    if (kills === 2) doomed.signal("SIGKILL");
    if (kills === 4) polite.signal("SIGTERM");
    await cluster.leader();
    leader.start();
    await cluster.ready();
  }

  await waitFor(() => removed.length >= 2, { what: "the two that went away are off the list" });
  await waitFor(() => callsOf(consumer) >= 10_000, { what: "10,000 calls are made", withinMs: 200_000 });
  consumer.signal("SIGINT");

  expect(await consumer.ended()).toBe(0);
  const summary = JSON.parse(consumer.output.trim().split("\n").at(-1) ?? "") as {
    readonly errors: number;
    readonly byProvider: Record<string, number>;
  };
  expect(summary.errors).toBe(0);
  expect(Object.keys(summary.byProvider).toSorted()).toEqual(["doomed", "polite", "steady-1", "steady-2"]);

  expect(removed.toSorted()).toEqual(["doomed expired", "polite deregistered"]);
  for (const provider of steady) expect(provider.output).not.toMatch(/not be listed|again/);
});

test.each(["provider", "consumer"])(
  "the %s says in one sentence which option it does not know",
  async (name) => {
    const program = new ShellProcess(`scripts/example/${name} --colour red`);

    expect(await program.ended()).toBe(1);
    expect(program.output).toMatch(/^Unknown option '--colour'[^\n]*\nUsage: [^\n]+\n$/u);
  },
);
