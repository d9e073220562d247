// What ./scripts/start runs: one process for each member, their log lines under one another, and an end to all of them
// with Ctrl-C. A member that dies stays dead, so that one can see what the others do; how to start it again is printed.

import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, styleText } from "node:util";
import { isPortFree } from "./is-port-free.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

const help = `Usage: ./scripts/start [--members N] [--data DIR] [--port BASE] [--reset]

Starts a cluster on this machine and stays in the foreground; Ctrl-C stops all members.

  --members N   how many members, 1 to 9; 3 if it is not said
  --data DIR    where their data is kept; .rollcall in the checkout if it is not said
  --port BASE   clients are answered on BASE+1, BASE+2, ..., members on BASE+101, ...; 7400 if it is not said
  --reset       start with empty members: removes what an earlier cluster left in DIR
  --help        this text`;

type Settings = {
  readonly members: number;
  readonly folder: string;
  readonly port: number;
  readonly reset: boolean;
};

/** What cannot be gone on from, in one sentence. */
function fail(sentence: string, status = 1): never {
  console.error(`start: ${sentence}`);
  process.exit(status);
}

function readSettings(): Settings {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const options = { members: text, data: text, port: text, reset: flag, help: flag };
    const { values } = parseArgs({ options });
    if (values.help === true) {
      console.log(help);
      process.exit(0);
    }
    return {
      members: wholeNumber("--members", values.members ?? "3", 1, 9),
      folder: resolve(values.data ?? join(root, ".rollcall")),
      port: wholeNumber("--port", values.port ?? "7400", 1, 65_400),
      reset: values.reset === true,
    };
  } catch (error) {
    return fail(`${(error as Error).message.split(". ")[0]}; ./scripts/start --help says what there is`, 2);
  }
}

function wholeNumber(name: string, given: string, min: number, max: number): number {
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (!(value >= min && value <= max)) throw new Error(`${name} must be a number from ${min} to ${max}`);
  return value;
}

/** One member: what stands in its config file, and its process. */
type Member = {
  readonly id: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly configFile: string;
  readonly clientUrl: string;
  readonly ports: readonly number[];
  process: ChildProcess;
};

/** A path as one would type it. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") || isAbsolute(near) ? path : near;
}

/** Looks the data folder over: an earlier cluster there must be the one that is asked for. */
function prepareFolder({ folder, members, reset, port }: Settings): void {
  const ours = existsSync(folder) ? readdirSync(folder).filter((name) => /^n\d(?:\.json)?$/.test(name)) : [];
  if (reset) for (const name of ours) rmSync(join(folder, name), { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const before = reset ? [] : ours.filter((name) => name.endsWith(".json"));
  if (before.length === 0) return;
  if (before.length !== members) {
    fail(
      `${shown(folder)} holds a cluster of ${before.length} member${before.length === 1 ? "" : "s"}: give --members ${before.length}, or --reset to start anew.`,
    );
  }
  const { listen } = JSON.parse(readFileSync(join(folder, "n1.json"), "utf8")) as { readonly listen: string };
  const portBefore = Number(listen.split(":").at(-1)) - 1;
  if (portBefore !== port) {
    fail(
      `${shown(folder)} holds a cluster on port ${portBefore} and up: give --port ${portBefore}, or --reset to start anew.`,
    );
  }
}

function plan({ members, folder, port }: Settings): readonly Omit<Member, "process">[] {
  const ids = Array.from({ length: members }, (_, index) => `n${index + 1}`);
  const peerUrls = Object.fromEntries(ids.map((id, index) => [id, `http://127.0.0.1:${port + 101 + index}`]));
  return ids.map((id, index) => {
    const ports = [port + 1 + index, port + 101 + index];
    const config = {
      id,
      data: join(folder, id),
      listen: `127.0.0.1:${ports[0]}`,
      peerListen: `127.0.0.1:${ports[1]}`,
      members: peerUrls,
    };
    const configFile = join(folder, `${id}.json`);
    return { id, config, configFile, clientUrl: `http://127.0.0.1:${ports[0]}`, ports };
  });
}

async function mustBeFree(ports: readonly number[]): Promise<void> {
  const free = await Promise.all(ports.map(isPortFree));
  const port = ports.find((_, index) => !free[index]);
  if (port !== undefined) {
    fail(`port ${port} is in use: stop what uses it (another cluster?), or give --port BASE.`);
  }
}

/** Log lines are kept back until the members have been introduced. */
let keptBack: string[] | null = [];

function print(line: string): void {
  if (keptBack === null) console.log(line);
  else keptBack.push(line);
}

function printKeptBack(): void {
  const lines = keptBack ?? [];
  keptBack = null;
  for (const line of lines) console.log(line);
}

const colours = ["cyan", "magenta", "yellow", "blue", "green", "red", "cyan", "magenta", "yellow"] as const;

function launch(planned: Omit<Member, "process">, index: number): Member {
  writeFileSync(planned.configFile, `${JSON.stringify(planned.config, null, 2)}\n`, { mode: 0o600 });
  const args = ["serve", "--config", planned.configFile, "--log-format", "pretty"];
  // A group of its own: Ctrl-C in the terminal reaches this process only, which then stops the members in order.
  const child = spawn(join(root, "scripts/rollcall"), args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const prefix = styleText(colours[index] ?? "cyan", `${planned.id} │`);
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) print(`${prefix} ${line}`);
    });
  }
  return { ...planned, process: child };
}

const isRunning = ({ process: { exitCode, signalCode } }: Member): boolean =>
  exitCode === null && signalCode === null;

type Picture = { readonly leader: string | null };

const answerMs = 2_000;

const ask = (url: string): Promise<Response> => fetch(url, { signal: AbortSignal.timeout(answerMs) });

/** The leader, once every member that runs is ready to take requests; null before. */
async function findLeader(members: readonly Member[]): Promise<string | null> {
  const running = members.filter(isRunning);
  try {
    const ready = await Promise.all(running.map(({ clientUrl }) => ask(`${clientUrl}/readyz`)));
    await Promise.all(ready.map((answer) => answer.text()));
    if (ready.some((answer) => !answer.ok)) return null;
    const answer = await ask(`${running[0]?.clientUrl}/v1/cluster`);
    return answer.ok ? ((await answer.json()) as Picture).leader : null;
  } catch {
    return null;
  }
}

function introduce(settings: Settings, members: readonly Member[], leader: string, seconds: string): void {
  const bold = (text: string): string => styleText("bold", text);
  const dim = (text: string): string => styleText("dim", text);
  const rows = members.map((member) => {
    const { id, clientUrl, process: child } = member;
    if (!isRunning(member)) return `    ${id}  ${clientUrl}  ended: its log is below`;
    const role = id === leader ? bold("leader  ") : "follower";
    return `    ${id}  ${clientUrl}  ${role}  pid ${child.pid}`;
  });
  const running = members.filter(isRunning);
  // Those that live on when the leader is killed.
  const others = running.length === 1 ? running : running.filter(({ id }) => id !== leader);
  const first = others[0]?.clientUrl;
  const last = others.at(-1)?.clientUrl;
  const leaderPid = members.find(({ id }) => id === leader)?.process.pid;
  const canLoseOne = (running.length - 1) * 2 > members.length;
  const killing = `
    ${dim("kill the leader, see below how another one takes over, and find it again")}
    kill -9 ${leaderPid}
`;
  console.log(`
  ${bold("Rollcall")}: ${members.length} ${members.length === 1 ? "member" : "members"}, ready after ${seconds} s. Data in ${shown(settings.folder)}.

${rows.join("\n")}

  Try, in another terminal:

    ${dim("register an instance at one member")}
    curl -X PUT ${first}/v1/services/web/instances/a1 -H 'content-type: application/json' -d '{"host": "127.0.0.1", "port": 3000, "ttlMs": 600000}'

    ${dim("find it at another")}
    curl ${last}/v1/services/web/instances
${canLoseOne ? killing : ""}
  Ctrl-C stops all members.
`);
}

let isStopping = false;

/** Says what became of a member that ended by itself, and how to start it again. */
function watch(member: Member, members: readonly Member[]): void {
  member.process.once("exit", (code, signal) => {
    if (isStopping) return;
    const how = signal === null ? `ended with status ${code}` : `was ended by ${signal}`;
    print(`
  ${styleText("bold", `${member.id} ${how}.`)} To start it again, in another terminal:
    ./scripts/rollcall serve --config ${shown(member.configFile)}
`);
    if (!members.some(isRunning)) {
      printKeptBack();
      fail("no member runs any more.");
    }
  });
}

async function stop(members: readonly Member[]): Promise<void> {
  if (isStopping) {
    for (const { process: child } of members) child.kill("SIGKILL");
    process.exit(1);
  }
  isStopping = true;
  printKeptBack();
  const start = performance.now();
  console.log("\n  Stopping ... (Ctrl-C again ends at once)");
  await Promise.all(members.map(({ process: child }) => ended(child, () => child.kill("SIGTERM"))));
  console.log(`  All members stopped after ${seconds(start)} s.`);
  process.exit(0);
}

function ended(child: ChildProcess, act: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => {
    child.once("close", () => done());
    act();
  });
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

const startedAt = performance.now();
const settings = readSettings();
prepareFolder(settings);
const planned = plan(settings);
await mustBeFree(planned.flatMap(({ ports }) => ports));
const members = planned.map(launch);
for (const member of members) watch(member, members);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void stop(members));

/** A cluster that is founded needs all its members; one that is there does without some. */
const patienceMs = (): number => (members.every(isRunning) ? 30_000 : 5_000);
let leader: string | null = null;
while (leader === null && !isStopping) {
  await sleep(50);
  leader = await findLeader(members);
  if (leader === null && keptBack !== null && performance.now() - startedAt > patienceMs()) {
    console.log(`\n  Not ready after ${seconds(startedAt)} s. It goes on; what the members say:\n`);
    printKeptBack();
  }
}
if (leader !== null && !isStopping) {
  // How they started is of interest only where one did not.
  if (members.every(isRunning)) keptBack = [];
  introduce(settings, members, leader, seconds(startedAt));
  printKeptBack();
}
