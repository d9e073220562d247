/** Instances that hang on open connections, over real processes: who dies is seen at once, and the death of a member accuses nobody. */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { quickest } from "../support/in-time.ts";
import type { MemberProcess } from "../support/member-process.ts";
import { waitFor } from "../support/wait-for.ts";

const script = fileURLToPath(new URL("../support/presence-client.ts", import.meta.url));
const service = "held";
/** So long that a lease running out plays no part. */
const ttlMs = 600_000;

/** Registers that many, in batches; gives `service/id/incarnation` of each. */
async function registerMany(cluster: TestCluster, count: number): Promise<readonly string[]> {
  const named: string[] = [];
  const [member] = cluster.running;
  if (member === undefined) throw new Error("a member runs");
  for (let from = 0; from < count; from += 500) {
    const operations = Array.from({ length: Math.min(500, count - from) }, (_, i) => ({
      op: "register",
      service,
      id: `i${from + i}`,
      host: "h",
      port: 1,
      ttlMs,
    }));
    type Registered = { results: { instance: { id: string; incarnation: number } }[] };
    const { body } = await waitFor(
      async () => {
        const answer = await cluster.request<Registered>(member, "POST", "/v1/batch", { operations });
        return answer.status === 200 ? answer : null;
      },
      { what: "there is a leader that takes them" },
    );
    named.push(...body.results.map(({ instance }) => `${service}/${instance.id}/${instance.incarnation}`));
  }
  return named;
}

/** A client process; resolves once all its connections are attached. */
async function attach(
  member: MemberProcess,
  instances: readonly string[],
  lingerMs: number,
): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", script, member.clientUrl, String(lingerMs), ...instances],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  expect(line.toString()).toBe(`attached ${instances.length}\n`);
  return child;
}

interface Counts {
  readonly total: number;
  readonly suspect: number;
}

/** Asks again while the member has too much to do, as clients must. */
async function answerOf<Body>(cluster: TestCluster, member: MemberProcess, path: string): Promise<Body> {
  return waitFor(
    async () => {
      const { status, body } = await cluster.request<Body>(member, "GET", path);
      return status === 200 ? body : null;
    },
    { what: `${member.id} answers ${path}` },
  );
}

async function countsAt(cluster: TestCluster, member: MemberProcess): Promise<Counts> {
  type Services = { services: { instances: Counts }[] };
  const { services } = await answerOf<Services>(cluster, member, `/v1/services?prefix=${service}`);
  const { total = 0, suspect = 0 } = services[0]?.instances ?? {};
  return { total, suspect };
}

/** How often an instance became suspect, by the newest of the history. */
async function suspicions(cluster: TestCluster, member: MemberProcess): Promise<number> {
  type History = { events: { type: string }[] };
  const { events } = await answerOf<History>(cluster, member, `/v1/services/${service}/history?limit=100`);
  return events.filter(({ type }) => type === "suspect").length;
}

test("a client that is killed is suspect at once on every member, and gone after lingerMs, while its TTL is long", async () => {
  const cluster = await TestCluster.start();
  const lingerMs = 1_000;
  // The linger time, a second of the clock's steps, and what a busy machine takes.
  const limitMs = 4_000;
  const leastMs = await quickest(limitMs, async () => {
    const [instance = ""] = await registerMany(cluster, 1);
    const client = await attach(cluster.member("n1"), [instance], lingerMs);
    const killedAt = performance.now();
    client.kill("SIGKILL");
    let isSuspectAtOnce = true;
    for (const member of cluster.members) {
      const { suspect } = await waitFor(
        async () => {
          const counts = await countsAt(cluster, member);
          return counts.suspect === 1 || counts.total === 0 ? counts : null;
        },
        { what: "it is suspect, or gone already" },
      );
      isSuspectAtOnce &&= suspect === 1 && performance.now() - killedAt < lingerMs;
    }
    for (const member of cluster.members)
      await waitFor(async () => (await countsAt(cluster, member)).total === 0, { what: "it is gone" });
    const tookMs = performance.now() - killedAt;
    expect(tookMs).toBeGreaterThanOrEqual(lingerMs);
    return isSuspectAtOnce ? tookMs : Number.POSITIVE_INFINITY;
  });
  expect(leastMs).toBeLessThanOrEqual(limitMs);
});

test("who comes back at another member within lingerMs stays, and the late break of the older connection changes nothing", async () => {
  const cluster = await TestCluster.start();
  const [instance = ""] = await registerMany(cluster, 1);
  const first = await attach(cluster.member("n1"), [instance], 60_000);
  first.kill("SIGKILL");
  await waitFor(async () => (await countsAt(cluster, cluster.member("n2"))).suspect === 1, {
    what: "it is suspect",
  });
  const second = await attach(cluster.member("n2"), [instance], 60_000);
  expect(await countsAt(cluster, cluster.member("n2"))).toEqual({ total: 1, suspect: 0 });
  // Now the newer one is on n2, and another on n3 follows before n2's ends.
  await attach(cluster.member("n3"), [instance], 60_000);
  const { revision } = await cluster.sameState();
  second.kill("SIGKILL");
  // A marker that goes through the log after the break: what comes before it has been decided.
  await waitFor(() => cluster.member("n2").log.includes("presence broke"), {
    what: "n2 has proposed the break",
  });
  expect(await countsAt(cluster, cluster.member("n3"))).toEqual({ total: 1, suspect: 0 });
  expect((await cluster.sameState()).revision).toBe(revision);
});

test.each(["SIGKILL", "SIGTERM"] as const)(
  "%s to the member that holds 1,000 such connections makes not one of them suspect, and they can be taken over elsewhere",
  async (signal) => {
    const cluster = await TestCluster.start();
    const leader = await cluster.leader();
    const holder = cluster.member(leader);
    const instances = await registerMany(cluster, 1_000);
    await attach(holder, instances, 1_000);
    await holder.kill(signal);
    await cluster.ready();
    const [other] = cluster.others(leader);
    if (other === undefined) throw new Error("there are three members");
    await waitFor(async () => (await countsAt(cluster, other)).total === 1_000, {
      what: "it has applied all registrations",
    });
    expect(await countsAt(cluster, other)).toEqual({ total: 1_000, suspect: 0 });
    expect(await suspicions(cluster, other)).toBe(0);
    const next = await attach(other, instances, 1_000);
    expect(await countsAt(cluster, other)).toEqual({ total: 1_000, suspect: 0 });
    expect(await suspicions(cluster, other)).toBe(0);
    // And the newer connections count: their end is seen.
    next.kill("SIGKILL");
    await waitFor(async () => (await countsAt(cluster, other)).suspect > 0, {
      what: "the end of the newer ones is seen",
    });
  },
);
