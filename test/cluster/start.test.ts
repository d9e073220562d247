// ./scripts/start as a newcomer meets it.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFailed, onTestFinished, test } from "vitest";
import { freePortRun } from "../support/free-ports.ts";
import { NeverError, waitFor } from "../support/wait-for.ts";

const script = fileURLToPath(new URL("../../scripts/start", import.meta.url));

interface Started {
  readonly child: ChildProcess;
  output: string;
}

function start(...args: readonly string[]): Started {
  const child = spawn(script, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  const started: Started = { child, output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      started.output += chunk.toString();
    });
  }
  onTestFailed(() => console.log(started.output));
  return started;
}

async function screenOf(started: Started): Promise<string> {
  const isComplete = (): boolean => {
    if (started.output.includes("Ctrl-C stops all members.")) return true;
    if (started.child.exitCode === null) return false;
    throw new NeverError(`./scripts/start has ended: ${started.output}`);
  };
  await waitFor(isComplete, { what: "the screen is complete" });
  return started.output;
}

const memberLine = /^ {4}n\d {2}http:\/\/127\.0\.0\.1:\d+ {2}(?:leader {2}|follower) {2}pid \d+$/gm;

async function ended({ child }: Started): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "close");
  return child.exitCode;
}

async function stopped(started: Started): Promise<void> {
  started.child.kill("SIGINT");
  expect(await ended(started)).toBe(0);
}

/** A base from which on all ports that five members need are free. */
const freeBase = (): Promise<number> => freePortRun([1, 2, 3, 4, 5, 101, 102, 103, 104, 105]);

test("the first screen's commands work: register, find, kill the leader, find again; Ctrl-C stops all", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freeBase();
  const first = start("--data", folder, "--port", String(port));
  onTestFinished(async () => {
    first.child.kill("SIGINT");
    await ended(first);
  });
  expect((await screenOf(first)).match(memberLine)).toHaveLength(3);
  // What was logged while it started is not shown.
  expect(first.output).not.toContain("│");

  const second = start("--data", folder, "--port", String(port));
  expect(await ended(second)).toBe(1);
  expect(second.output).toMatch(/^start: port \d+ is in use: .*\.\n$/);

  const [, url = "", body = ""] = /curl -X PUT (\S+) .* -d '(.*)'/.exec(first.output) ?? [];
  const put = await fetch(url, { method: "PUT", headers: { "content-type": "application/json" }, body });
  expect(put.status).toBe(201);
  const list = / {4}curl (http\S+)\n/.exec(first.output)?.[1] ?? "";
  const leader = Number(/kill -9 (\d+)/.exec(first.output)?.[1]);
  process.kill(leader, "SIGKILL");
  await waitFor(() => /n\d │ .* became leader/.test(first.output), { what: "another member leads" });
  await waitFor(() => first.output.includes("was ended by SIGKILL"), { what: "the dead member is told" });
  expect(first.output).toMatch(
    /n\d was ended by SIGKILL\. To start it again.*\n {4}\.\/scripts\/rollcall serve --config \S+n\d\.json\n/,
  );
  await waitFor(async () => (await (await fetch(list)).text()).includes('"id":"a1"'), {
    what: "the other member still finds it",
  });

  first.child.kill("SIGINT");
  expect(await ended(first)).toBe(0);
  expect(first.output).toMatch(/All members stopped after \d+\.\d s\.\n$/);
});

test("a cluster of another size is not begun over the data of one, unless --reset gives that up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const where = ["--data", folder, "--port", String(await freeBase())];
  const one = start(...where, "--members", "1");
  onTestFinished(() => void one.child.kill("SIGINT"));
  const [, url = "", body = ""] = /curl -X PUT (\S+) .* -d '(.*)'/.exec(await screenOf(one)) ?? [];
  const put = await fetch(url, { method: "PUT", headers: { "content-type": "application/json" }, body });
  expect(put.status).toBe(201);
  await stopped(one);

  const refused = start(...where, "--members", "5");
  expect(await ended(refused)).toBe(1);
  expect(refused.output).toMatch(
    /holds a cluster of 1 member: give --members 1, or --reset to start anew\.\n$/,
  );

  const five = start(...where, "--members", "5", "--reset");
  onTestFinished(() => void five.child.kill("SIGINT"));
  expect((await screenOf(five)).match(memberLine)).toHaveLength(5);
  expect((await fetch(url)).status).toBe(404);
  await stopped(five);
});

test("a member that cannot start is told, with why, and the others are a cluster without it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const where = ["--data", folder, "--port", String(await freeBase())];
  const whole = start(...where);
  onTestFinished(() => void whole.child.kill("SIGINT"));
  await screenOf(whole);
  await stopped(whole);

  rmSync(join(folder, "n2"), { recursive: true });
  writeFileSync(join(folder, "n2"), "where its folder should be");
  const two = start(...where);
  onTestFinished(() => void two.child.kill("SIGINT"));
  expect((await screenOf(two)).match(memberLine)).toHaveLength(2);
  // Nobody could take over.
  expect(two.output).not.toContain("kill -9");
  expect(two.output).toMatch(/n2 {2}\S+ {2}ended: its log is below\n/);
  const why = /n2 │ .*The data folder \S+n2 cannot be used: there is a file of that name/;
  await waitFor(() => why.test(two.output) && two.output.includes("n2 ended with status"), {
    what: "the log is shown",
  });
  await stopped(two);
});

test("a port from which a connection goes out is in use, though nobody answers there", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  // From a port of the system's choice: one that was asked for could be listened on.
  const connection = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  onTestFinished(() => {
    connection.destroy();
    server.close();
  });
  await once(connection, "connect");
  const { localPort = 0 } = connection;
  const folder = mkdtempSync(join(tmpdir(), "rollcall-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const refused = start("--data", folder, "--port", String(localPort - 1), "--members", "1");
  expect(await ended(refused)).toBe(1);
  expect(refused.output).toBe(
    `start: port ${localPort} is in use: stop what uses it (another cluster?), or give --port BASE.\n`,
  );
});

test("wrong usage is told in a sentence", async () => {
  const wrong = start("--members", "many");
  expect(await ended(wrong)).toBe(2);
  expect(wrong.output).toMatch(/^start: --members must be a number from 1 to 9; .*\n$/);
});
