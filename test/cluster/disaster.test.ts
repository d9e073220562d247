// The way back from a disaster, with real members and the commands that an operator types.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { run } from "../../src/cli/program.ts";
import { TestCluster, type ClusterAnswer } from "../support/cluster.ts";
import type { MemberProcess } from "../support/member-process.ts";
import { seededRandom } from "../support/random.ts";
import { waitFor } from "../support/wait-for.ts";

const instances = "/v1/services/web/instances";
const body = { host: "10.0.0.1", port: 80, ttlMs: 600_000 };

async function command(
  ...args: readonly string[]
): Promise<{ readonly status: number; readonly said: string }> {
  let said = "";
  const take = (line: string): void => void (said += `${line}\n`);
  const spies = [
    vi.spyOn(console, "log").mockImplementation(take),
    vi.spyOn(console, "error").mockImplementation(take),
  ];
  const status = await run(args);
  for (const spy of spies) spy.mockRestore();
  return { status, said };
}

async function register(cluster: TestCluster, member: MemberProcess, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const answer = await cluster.request(member, "PUT", `${instances}/${id}`, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  }
}

async function idsAt(cluster: TestCluster, member: MemberProcess): Promise<readonly string[]> {
  const answer = await cluster.request<{ instances: readonly { id: string }[] }>(member, "GET", instances);
  return answer.body.instances.map(({ id }) => id);
}

async function serve(
  cluster: TestCluster,
  id: string,
  flags: Readonly<Record<string, string>> = {},
): Promise<MemberProcess> {
  const member = await cluster.add(id, flags);
  member.start();
  await waitFor(async () => (await cluster.request(member, "GET", "/readyz")).status === 200, {
    what: `${id} is ready`,
  });
  return member;
}

test("a backup of a running cluster becomes a new cluster, and a changed one does not", async () => {
  const cluster = await TestCluster.start();
  const [first] = cluster.members;
  if (first === undefined) throw new Error("no member");
  await register(cluster, first, ["a1", "a2", "a3"]);
  const before = await cluster.request<ClusterAnswer>(first, "GET", "/v1/cluster");
  const file = join(cluster.folder, "registry.backup");
  const server = ["--server", first.clientUrl];

  const saved = await command(...server, "backup", file);
  expect(saved.status, saved.said).toBe(0);
  expect(saved.said).toContain("holds 3 instances at revision 3");
  expect((await command("inspect", file)).said).toContain("state: 3 instances at revision 3");
  expect((await command(...server, "backup", file)).said).toContain("exists already");

  const data = join(cluster.folder, "m1");
  const to = ["--data", data, "--id", "m1"];
  const harmed = readFileSync(file);
  harmed[100] = (harmed[100] ?? 0) ^ 1;
  writeFileSync(`${file}.harmed`, harmed);
  expect(await command("restore", `${file}.harmed`, ...to)).toMatchObject({ status: 1 });
  expect(await command("inspect", `${file}.harmed`)).toMatchObject({ status: 1 });
  const restored = await command("restore", file, ...to);
  expect(restored.status, restored.said).toBe(0);
  expect((await command("restore", file, ...to)).said).toContain("is not empty");

  const member = await serve(cluster, "m1");
  expect(await idsAt(cluster, member)).toEqual(["a1", "a2", "a3"]);
  const after = await cluster.request<ClusterAnswer>(member, "GET", "/v1/cluster");
  expect(after.body.clusterId).not.toBe(before.body.clusterId);
  expect(after.body.revision).toBeGreaterThanOrEqual(2 ** 40);
  await register(cluster, member, ["a4"]);

  // Its log begins after the backup, so whoever joins gets a snapshot before anything else.
  const joining = await serve(cluster, "m2", { join: member.clientUrl });
  expect(await idsAt(cluster, joining)).toEqual(["a1", "a2", "a3", "a4"]);
});

test("after the loss of a majority one member's folder becomes a new cluster, with consent", async () => {
  const cluster = await TestCluster.start();
  const [first, second, third] = cluster.members;
  if (first === undefined || second === undefined || third === undefined) throw new Error("no members");
  await register(cluster, first, ["a1", "a2"]);
  await cluster.sameState();
  for (const member of [first, second, third]) await member.kill();
  second.wipe();
  third.wipe();

  const args = ["recover", first.settings.dataFolder, "--data", join(cluster.folder, "m1"), "--id", "m1"];
  const asked = await command(...args);
  expect(asked).toMatchObject({ status: 4 });
  expect(asked.said).toContain("--i-accept-data-loss");
  expect(asked.said).toMatch(/^MEMBER +LAST ENTRY +OF TERM +IMAGE AT +INSTANCES +REVISION +DAMAGED /m);
  expect(asked.said).toMatch(/^n1 +\d+ +\d+ +\d+ +2 +2 +no +yes /m);
  const json = await command(...args, "--output", "json");
  expect(json).toMatchObject({ status: 4 });
  expect(json.said).toContain('"instances": 2');
  expect(await command("recover", first.settings.dataFolder)).toMatchObject({ status: 4 });
  expect(await command(...args, "--i-accept-data-loss")).toMatchObject({ status: 0 });
  const member = await serve(cluster, "m1");
  expect(await idsAt(cluster, member)).toEqual(["a1", "a2"]);

  // The old member is of another cluster: it finds nobody, and nobody takes it in.
  first.start();
  await waitFor(async () => (await cluster.request(first, "GET", "/readyz")).status === 503, {
    what: "n1 answers",
  });
  const { body: picture } = await cluster.request<ClusterAnswer>(member, "GET", "/v1/cluster");
  expect(picture.members.map(({ id }) => id)).toEqual(["m1"]);
  expect(picture.revision).toBeGreaterThanOrEqual(2 ** 40);
});

test("a restore and a recovery that are killed at any moment have made nothing yet, and can be repeated", async () => {
  const cluster = await TestCluster.start();
  const [first] = cluster.members;
  if (first === undefined) throw new Error("no member");
  const operations = Array.from({ length: 1_000 }, (_, i) => ({
    ...body,
    op: "register",
    service: "web",
    id: `a${i}`,
  }));
  expect((await cluster.request(first, "POST", "/v1/batch", { operations })).status).toBe(200);
  const file = join(cluster.folder, "registry.backup");
  expect(await command("--server", first.clientUrl, "backup", file)).toMatchObject({ status: 0 });
  await first.kill();

  const seed = Number(process.env["SEED"] ?? 4);
  const random = seededRandom(seed);
  const data = join(cluster.folder, "m1");
  const to = ["--data", data, "--id", "m1"];
  for (const what of [
    ["restore", file],
    ["recover", first.settings.dataFolder, "--i-accept-data-loss"],
  ]) {
    for (let i = 0; i < 4; i += 1) {
      await killWhileItWrites([...what, ...to], `${data}.unfinished`, random);
      const left = existsSync(data) ? (await command("inspect", data)).said : "nothing";
      expect(left, `SEED=${seed}`).toMatch(/^nothing$|instance: 1000/m);
      rmSync(data, { recursive: true, force: true });
    }
    expect(await command(...what, ...to), `SEED=${seed}`).toMatchObject({ status: 0 });
    const { said } = await command("inspect", data);
    expect(said).toContain("damage: none found");
    expect(said).toContain("instance: 1000");
    expect(existsSync(`${data}.unfinished`)).toBe(false);
    rmSync(data, { recursive: true });
  }
});

const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Starts the command as a process of its own and kills it once the folder is there, after some of the writes that follow. */
async function killWhileItWrites(
  args: readonly string[],
  folder: string,
  random: () => number,
): Promise<void> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args], {
    stdio: "ignore",
  });
  const ended = once(child, "close");
  const filesMax = Math.floor(random() * 12);
  const hasBegun = (): boolean =>
    child.exitCode !== null ||
    (existsSync(folder) && readdirSync(folder, { recursive: true }).length >= filesMax);
  await waitFor(hasBegun, { what: `${args[0]} has made ${filesMax} files`, everyMs: 1 });
  child.kill("SIGKILL");
  await ended;
}
