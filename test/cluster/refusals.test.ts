// A member that cannot be started says why in one sentence on standard error, and exits with status 1.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { rollcall } from "../support/command.ts";
import { freePorts } from "../support/free-ports.ts";
import { MemberProcess } from "../support/member-process.ts";

/** A member that has founded a cluster of its own, and is down again. */
async function foundedAlone(): Promise<{ readonly cluster: TestCluster; readonly member: MemberProcess }> {
  const cluster = await TestCluster.start({ size: 1 });
  const [member] = cluster.members;
  if (member === undefined) throw new Error("one member runs");
  await member.kill("SIGTERM");
  return { cluster, member };
}

/** The one sentence with which the member refuses to start, with exit status 1. */
async function refusalOf(member: MemberProcess): Promise<string> {
  const logged = member.log.length;
  if (!member.isRunning) member.start();
  const ending = await member.ended();
  const text = member.log.slice(logged);
  const words = text.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  const isSentence = words.length === 1 && /^rollcall: [A-Z-].*\.$/.test(words[0] ?? "");
  return isSentence && ending.code === 1
    ? (words[0] ?? "")
    : `status ${ending.code}, not one sentence: ${text}`;
}

test("a data folder of another member is refused", async () => {
  const { member } = await foundedAlone();
  const other = new MemberProcess({
    ...member.settings,
    id: "n2",
    flags: { members: "n2=http://127.0.0.1:1" },
  });
  expect(await refusalOf(other)).toMatch(/belongs to member n1 .*cannot be opened by/);
});

test("a data folder of a newer format is refused", async () => {
  const { member } = await foundedAlone();
  const file = join(member.settings.dataFolder, "identity.json");
  const identity = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...identity, formatVersion: 99 }));
  expect(await refusalOf(member)).toMatch(/format 99.*start a newer version/);
});

test("a data folder of another cluster than the listed members is refused", async () => {
  const cluster = await TestCluster.start();
  const { member: stranger } = await foundedAlone();
  const replaced = cluster.member("n1");
  await replaced.kill();
  const intruder = new MemberProcess({ ...replaced.settings, dataFolder: stranger.settings.dataFolder });
  expect(await refusalOf(intruder)).toMatch(
    /belongs to cluster .*, but the members listed with --members to cluster /,
  );
});

test("a data folder that another process uses is refused", async () => {
  const cluster = await TestCluster.start({ size: 1 });
  const [member] = cluster.members;
  if (member === undefined) throw new Error("one member runs");
  const [client = 0, peerPort = 0] = await freePorts(2);
  const second = new MemberProcess({ ...member.settings, clientUrl: `http://127.0.0.1:${client}`, peerPort });
  expect(await refusalOf(second)).toMatch(/in use by another process/);
});

test("a new data folder without --members or --join is refused", async () => {
  const cluster = await TestCluster.prepare({ size: 1 });
  const [member] = cluster.members;
  if (member === undefined) throw new Error("there is one member");
  expect(await refusalOf(new MemberProcess({ ...member.settings, flags: {} }))).toMatch(
    /is new: give --members .* or --join/,
  );
});

test.each(["client", "peer"])("a %s port in use is refused", async (which) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const cluster = await TestCluster.prepare({ size: 1 });
  const [member] = cluster.members;
  if (member === undefined) throw new Error("there is one member");
  const settings =
    which === "client"
      ? { ...member.settings, clientUrl: `http://127.0.0.1:${port}` }
      : { ...member.settings, peerPort: port };
  const flag = which === "client" ? "--listen" : "--peer-listen";
  expect(await refusalOf(new MemberProcess(settings))).toMatch(
    new RegExp(`${flag} 127.0.0.1:${port} cannot be used: another process`),
  );
});

test("a data folder that cannot be made is refused", async () => {
  const cluster = await TestCluster.prepare({ size: 1 });
  const [member] = cluster.members;
  if (member === undefined) throw new Error("there is one member");
  mkdirSync(cluster.folder, { recursive: true });
  writeFileSync(join(cluster.folder, "file"), "");
  const dataFolder = join(cluster.folder, "file", "n1");
  expect(await refusalOf(new MemberProcess({ ...member.settings, dataFolder }))).toMatch(
    /data folder .* cannot be used: a part of that path is a file/,
  );
});

test.each([
  ["is missing", null, /The config file \S+ cannot be read: there is no such file\./],
  ["is no JSON", "{", /is not JSON/],
  ["has an unknown option", '{"tickms": 50}', /"tickms" in \S+ is no option; did you mean tickMs\?/],
])("a config file that %s is refused", async (_, text, sentence) => {
  const cluster = await TestCluster.prepare({ size: 1 });
  const file = join(cluster.folder, "rollcall.json");
  mkdirSync(cluster.folder, { recursive: true });
  if (text !== null) writeFileSync(file, text);
  const result = await rollcall([
    "serve",
    "--id",
    "n1",
    "--members",
    "n1=http://127.0.0.1:1",
    "--config",
    file,
  ]);
  expect(result).toMatchObject({ status: 1, stdout: "" });
  expect(result.stderr).toMatch(sentence);
  expect(result.stderr.trim().split("\n")).toHaveLength(1);
});
