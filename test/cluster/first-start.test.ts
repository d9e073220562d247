import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { TestCluster, type ClusterAnswer } from "../support/cluster.ts";
import { rollcall } from "../support/command.ts";
import type { MemberProcess } from "../support/member-process.ts";
import { listAt, register, registerAll } from "../support/registrations.ts";
import { waitFor } from "../support/wait-for.ts";

interface IdentityFile {
  readonly clusterId: string | null;
  readonly promisedClusterId: string | null;
  readonly incarnation: string;
}

function identityOf(member: MemberProcess): IdentityFile | null {
  const file = join(member.settings.dataFolder, "identity.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as IdentityFile) : null;
}

const moments: readonly (readonly [
  victim: string,
  moment: string,
  hasCome: (file: IdentityFile) => boolean,
])[] = [
  ["n1", "it has an incarnation", () => true],
  ["n1", "it has drawn the cluster id", (file) => file.promisedClusterId !== null],
  ["n1", "it has founded the cluster", (file) => file.clusterId !== null],
  ["n2", "it has promised", (file) => file.promisedClusterId !== null],
  ["n3", "it has joined", (file) => file.clusterId !== null],
];

// Every single step is crashed in test/replica/bootstrap.test.ts; here the disk and the processes are real.
test.each(moments)(
  "a crash of %s during the first start, when %s, is healed by starting again",
  async (id, moment, hasCome) => {
    const cluster = await TestCluster.prepare();
    for (const member of cluster.members) member.start();
    const victim = cluster.member(id);
    await waitFor(
      () => {
        const file = identityOf(victim);
        return file !== null && hasCome(file);
      },
      { what: moment },
    );
    await victim.kill();
    victim.start();
    await cluster.ready();
    const clusters = new Set(cluster.members.map((member) => identityOf(member)?.clusterId));
    expect(clusters.size).toBe(1);
    expect([...clusters]).not.toContain(null);
    await register(cluster, { service: "web", id: "a1" });
  },
);

test("a wiped member stays up and not ready, does not vote, and names the command that replaces it; the command works", async () => {
  const cluster = await TestCluster.start();
  await registerAll(
    cluster,
    Array.from({ length: 50 }, (_, index) => ({ service: "web", id: `i-${index}` })),
    { clients: 8 },
  );
  const wiped = cluster.member("n3");
  const [healthy, other] = cluster.others("n3");
  if (healthy === undefined || other === undefined) throw new Error("three members run");
  await wiped.kill();
  wiped.wipe();
  wiped.start();

  const text = await waitFor(
    async () => {
      const answer = await cluster.request<string>(wiped, "GET", "/readyz");
      expect(answer.status).toBe(503);
      return answer.body.includes("member replace") ? answer.body : null;
    },
    { what: "the wiped member says how to replace it" },
  );
  const command = /rollcall (member replace n3 --server http:\S+)/.exec(text)?.[1] ?? "";
  expect(wiped.log).toContain(command);
  expect((await cluster.request(wiped, "GET", "/livez")).status).toBe(200);
  expect((await cluster.request(wiped, "GET", "/v1/services")).status).toBe(503);

  // Two of three voters would be up, if it voted.
  await other.kill();
  await waitFor(
    async () => (await cluster.request<ClusterAnswer>(healthy, "GET", "/v1/cluster")).body.leader === null,
    { what: `${healthy.id} alone has no leader` },
  );
  // Through three of the longest waits for an election.
  const until = performance.now() + 3_000;
  while (performance.now() < until) {
    expect((await cluster.request<ClusterAnswer>(healthy, "GET", "/v1/cluster")).body.leader).toBeNull();
    await sleep(100);
  }
  other.start();
  await waitFor(async () => (await cluster.request(other, "GET", "/readyz")).status === 200, {
    what: "two healthy members have a leader again",
  });

  const replaced = await rollcall(command.split(" "));
  expect(replaced).toMatchObject({ status: 0, stderr: "" });
  expect(replaced.stdout).toContain("n3 was replaced");
  await cluster.ready();
  await cluster.sameState();
  expect((await listAt(cluster, "n3", "web")).ids).toHaveLength(50);

  // Now it votes: with it, the cluster goes on without one of the others.
  await healthy.kill();
  await register(cluster, { service: "web", id: "with-n3" });
});

test("an empty member that is told to join becomes a learner, and a voter when it is promoted", async () => {
  const cluster = await TestCluster.start();
  await register(cluster, { service: "web", id: "a1" });
  const [first] = cluster.members;
  if (first === undefined) throw new Error("three members run");
  const newcomer = await cluster.add("n4", { join: first.clientUrl });
  newcomer.start();
  await cluster.ready();
  const roleOf = async (id: string): Promise<string | undefined> => {
    const { body } = await cluster.request<ClusterAnswer>(first, "GET", "/v1/cluster");
    return body.members.find((member) => member.id === id)?.role;
  };
  expect(await roleOf("n4")).toBe("learner");
  expect((await listAt(cluster, "n4", "web")).ids).toEqual(["a1"]);

  const promoted = await rollcall(["member", "promote", "n4", "--server", first.clientUrl]);
  expect(promoted).toMatchObject({ status: 0, stderr: "" });
  await waitFor(async () => ["follower", "leader"].includes((await roleOf("n4")) ?? ""), {
    what: `${first.id} shows the new voter`,
  });
  const removed = await waitFor(
    async () => {
      const result = await rollcall(["member", "remove", "n4", "--server", first.clientUrl]);
      // The promotion may not be over yet for everybody.
      return result.stderr.includes("another change is under way") ? null : result;
    },
    { what: "no other change is under way" },
  );
  expect(removed).toMatchObject({ status: 0, stderr: "" });
  await waitFor(async () => (await roleOf("n4")) === undefined, { what: `${first.id} shows it no longer` });
});
