// Many watches on one member, while instances come and go and members restart: nothing missed, doubled or out of order, and how long one change
// takes to reach all of them.
//
// Every watch follows the whole namespace, so all of them must have the same changes. A watch that is cut off (its member restarts) resumes
// at another member after the last revision that it has.

import { get, type ClientRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { MemberProcess } from "../../../test/support/member-process.ts";
import { waitFor } from "../../../test/support/wait-for.ts";
import { BenchCluster } from "./cluster.ts";
import { Latencies } from "./latencies.ts";

const changeEveryMs = 100;
const bars = { reachedAllMs: 250 };

interface Line {
  readonly type: string;
  readonly revision: number;
  readonly instance?: { readonly service: string; readonly id: string };
  readonly service?: string;
  readonly id?: string;
}

class Watcher {
  readonly #members: readonly MemberProcess[];
  readonly #onChange: (revision: number) => void;
  #turn: number;
  #request: ClientRequest | null = null;
  #rest = "";
  #isEnded = false;
  /** The revision of the newest change, or of the snapshot that it began with. */
  revision: number | null = null;
  connects = 0;
  isOpen = false;
  snapshots = 0;
  wrong = 0;

  constructor(members: readonly MemberProcess[], turn: number, onChange: (revision: number) => void) {
    this.#members = members;
    this.#turn = turn;
    this.#onChange = onChange;
  }

  open(): void {
    const member = this.#members[this.#turn % this.#members.length];
    if (member === undefined || this.#isEnded) return;
    this.connects += 1;
    this.#rest = "";
    const after = this.revision === null ? "" : `?afterRevision=${this.revision}`;
    const again = (): void => {
      if (!this.isOpen && this.#isEnded) return;
      this.isOpen = false;
      this.#turn += 1;
      setTimeout(() => this.open(), 200 + Math.random() * 800);
    };
    const headers = { Accept: "application/x-ndjson" };
    this.#request = get(`${member.clientUrl}/v1/watch${after}`, { headers, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response.resume().once("close", again);
        return;
      }
      this.isOpen = true;
      response.setEncoding("utf8").on("data", (chunk: string) => this.#take(chunk));
      response.on("error", () => {}).once("close", again);
    });
    this.#request.once("error", () => {
      if (!this.isOpen) again();
    });
  }

  close(): void {
    this.#isEnded = true;
    this.#request?.destroy();
  }

  #take(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") this.#hear(JSON.parse(line) as Line);
  }

  #hear({ type, revision }: Line): void {
    if (type === "snapshot") {
      this.snapshots += 1;
      if (this.revision !== null && revision < this.revision) this.wrong += 1;
      this.revision = revision;
    } else if (type === "put" || type === "delete") {
      // Every change of this cluster is in this namespace, so that the next one is the next number: no gap, no repetition, in order.
      if (this.revision !== null && revision !== this.revision + 1) this.wrong += 1;
      this.revision = revision;
      this.#onChange(revision);
    }
  }
}

export async function watchers(options: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  const count = Number(options["watchers"] ?? 2_000);
  const seconds = Number(options["seconds"] ?? 30);
  const cluster = await BenchCluster.start();
  try {
    return await run(cluster, count, seconds);
  } finally {
    await cluster.end();
  }
}

async function run(cluster: BenchCluster, count: number, seconds: number): Promise<boolean> {
  const { members } = cluster;
  const [held, writer] = members;
  if (held === undefined || writer === undefined) throw new Error("there are three members");
  const sentAtMs = new Map<number, number>();
  const reached = new Map<number, number>();
  const toAll = new Latencies();
  const toEach = new Latencies();
  let isMeasuring = false;
  const onChange = (revision: number): void => {
    const begunMs = sentAtMs.get(revision);
    if (!isMeasuring || begunMs === undefined) return;
    const tookMs = performance.now() - begunMs;
    toEach.add(tookMs);
    const number = (reached.get(revision) ?? 0) + 1;
    reached.set(revision, number);
    if (number === count) toAll.add(tookMs);
  };
  // All begin at the first member; who is cut off goes on at the next one.
  const all = Array.from({ length: count }, () => new Watcher(members, 0, onChange));
  for (const watcher of all) {
    watcher.open();
    if (Math.random() < 0.05) await sleep(5);
  }
  await waitFor(() => all.every(({ isOpen, revision }) => isOpen && revision !== null), {
    what: "all watches are open",
    withinMs: 60_000,
  });

  isMeasuring = true;
  let expected = 0;
  const change = async (turn: number, member: MemberProcess): Promise<void> => {
    const path = `${member.clientUrl}/v1/services/s${turn % 20}/instances/i${turn % 50}`;
    const begunMs = performance.now();
    // One change at a time, so that its revision is known before it is made.
    sentAtMs.set(expected + 1, begunMs);
    const isRemoval = turn % 100 >= 50;
    const response = await fetch(path, {
      method: isRemoval ? "DELETE" : "PUT",
      headers: { "content-type": "application/json" },
      ...(isRemoval
        ? {}
        : { body: JSON.stringify({ host: "h", port: 1, ttlMs: 600_000, session: String(turn) }) }),
    });
    expected = Number(response.headers.get("rollcall-revision"));
    await response.arrayBuffer();
  };
  let turn = 0;
  const endMs = performance.now() + seconds * 1000;
  for (; performance.now() < endMs; turn += 1) {
    await change(turn, writer);
    await sleep(changeEveryMs);
  }
  await sleep(1_000);
  isMeasuring = false;
  const quietChanges = expected;

  // Then members restart, one after the other, while changes go on at whoever runs.
  let isRestarting = true;
  const restarting = (async (): Promise<void> => {
    for (const [i, member] of members.entries()) {
      await member.kill(i % 2 === 0 ? "SIGKILL" : "SIGTERM");
      await sleep(1_000);
      member.start();
      await cluster.ready();
      await sleep(1_000);
    }
    isRestarting = false;
  })();
  for (; isRestarting; turn += 1) {
    const running = members.filter(({ isRunning }) => isRunning);
    const member = running[turn % running.length];
    if (member !== undefined) await change(turn, member).catch(() => {});
    await sleep(20);
  }
  await restarting;
  const { revision: last } = (await (await fetch(`${writer.clientUrl}/v1/cluster`)).json()) as {
    revision: number;
  };
  const behind = await waitFor(() => all.every(({ revision }) => revision === last), {
    what: "every watch has the last change",
    withinMs: 60_000,
  })
    .then(() => 0)
    .catch(() => all.filter(({ revision }) => revision !== last).length);
  const wrong = all.reduce((sum, watcher) => sum + watcher.wrong, 0);
  const connects = all.reduce((sum, watcher) => sum + watcher.connects, 0);
  const snapshots = all.reduce((sum, watcher) => sum + watcher.snapshots, 0);
  for (const watcher of all) watcher.close();
  const p99 = toAll.percentile(0.99);
  console.log(
    `${count} watches on one member, ${quietChanges} changes in ${seconds} s, then ${last - quietChanges} more while all members restarted`,
  );
  console.log(`  one change to all    ${toAll.toString()} (${toAll.count} changes)`);
  console.log(`  to each              ${toEach.toString()}`);
  console.log(`  missed, doubled or out of order: ${wrong}; watches without the last change: ${behind}`);
  console.log(
    `  connections          ${connects} (${connects - count} of them resumed); snapshots ${snapshots}, ${count} of them the first`,
  );
  return wrong === 0 && behind === 0 && p99 <= bars.reachedAllMs;
}
