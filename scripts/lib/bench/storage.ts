// What the disk costs: durable appends beside what the disk itself can do, and how long a restart takes.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { must } from "../../../src/raft/assert.ts";
import { openMemberStorage } from "../../../src/storage/open-member.ts";
import { freePorts } from "../../../test/support/free-ports.ts";
import { MemberProcess } from "../../../test/support/member-process.ts";
import { waitFor } from "../../../test/support/wait-for.ts";
import { ended, makeBigFolder } from "./big-folder.ts";

const entryBytes = 256;

/** How long a member is left alone after its start, before its memory is measured. */
const settleMs = 5_000;

export async function storage(options: {
  readonly seconds?: string | undefined;
  readonly count?: string | undefined;
}): Promise<boolean> {
  const seconds = Number(options.seconds ?? 3);
  const instances = Number(options.count ?? 100_000);
  const root = fs.mkdtempSync(join(tmpdir(), "rollcall-bench-"));
  try {
    console.log("durable appends of 256 bytes a second, in this order on the same disk:");
    say("raw: write + fdatasync, one at a time", rawRate(join(root, "raw"), seconds));
    for (const atOnce of [1, 16, 256]) {
      const { rate, delayMs } = await appendRate(join(root, `log-${atOnce}`), atOnce, seconds);
      say(`log: ${atOnce} at once (loop delay p99.9 ${delayMs.toFixed(1)} ms)`, rate);
    }
    say("raw again", rawRate(join(root, "raw-again"), seconds));
    const empty = await restart(root, 1, 0);
    const full = await restart(root, instances, 50_000);
    console.log(
      `restart until ready, the start of the process included; memory then, and ${settleMs / 1000} s later:`,
    );
    sayRestart("1 instance", empty);
    sayRestart(`${instances} instances and 50,000 log entries after the image`, full);
    const bytes = (full.settledMemory - empty.settledMemory) / instances;
    console.log(`  memory, settled, above that of 1 instance: ${Math.round(bytes)} bytes an instance`);
    for (const [what, name] of Object.entries(parts)) {
      const more = (full.settledParts.get(name) ?? 0) - (empty.settledParts.get(name) ?? 0);
      console.log(`    ${what}: ${Math.round(more / instances)}`);
    }
    return full.readyMs < (instances > 100_000 ? 15_000 : 2_000);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

/** What the memory is made of, by the member's own metrics. What is left is native: the allocator, LevelDB, and pages that are shared. */
const parts = {
  "objects on the heap, those that nobody needs any more included": "nodejs_heap_size_used_bytes",
  "the heap with its free rest": "nodejs_heap_size_total_bytes",
  "buffers and typed arrays outside of it": "nodejs_external_memory_bytes",
} as const;

function say(what: string, rate: number): void {
  console.log(`  ${what}: ${Math.round(rate).toLocaleString("en-US")}`);
}

function sayRestart(what: string, { readyMs, memory, settledMemory }: Restart): void {
  console.log(
    `  ${what}: ${readyMs.toFixed(0)} ms, ${toMiB(memory)} MiB resident, then ${toMiB(settledMemory)} MiB`,
  );
}

function toMiB(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

function rawRate(path: string, seconds: number): number {
  const file = fs.openSync(path, "w");
  const bytes = Buffer.alloc(entryBytes, 1);
  const endMs = performance.now() + seconds * 1000;
  let count = 0;
  while (performance.now() < endMs) {
    fs.writeSync(file, bytes);
    fs.fdatasyncSync(file);
    count += 1;
  }
  fs.closeSync(file);
  return count / seconds;
}

async function appendRate(
  dir: string,
  atOnce: number,
  seconds: number,
): Promise<{ readonly rate: number; readonly delayMs: number }> {
  const opened = await openMemberStorage({ dir, memberId: "n1" });
  const member = { id: "n1", incarnation: "i", peerUrl: "http://a", clientUrl: "http://b" };
  await opened.join("c", { voters: ["n1"], outgoing: [], learners: [], members: [member] });
  const log = must(opened.log, "a member");
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let index = 1;
  let count = 0;
  const endMs = performance.now() + seconds * 1000;
  const payload = new Uint8Array(entryBytes);
  const append = async (): Promise<void> => {
    while (performance.now() < endMs) {
      index += 1;
      const entry = { kind: "command", term: 1, index, clusterTime: index, payload } as const;
      await ended((done) => log.persist({ hardState: null, truncateAfter: null, entries: [entry] }, done));
      count += 1;
    }
  };
  delay.enable();
  await Promise.all(Array.from({ length: atOnce }, append));
  delay.disable();
  await opened.close();
  // The monitor counts its own resolution.
  return { rate: count / seconds, delayMs: Math.max(0, delay.percentile(99.9) / 1e6 - 1) };
}

interface Restart {
  readonly readyMs: number;
  /** Resident bytes when it became ready. */
  readonly memory: number;
  /** Resident bytes once what the replay changed is in the image, and the garbage of the start is gone. */
  readonly settledMemory: number;
  /** Metrics by name, then. */
  readonly settledParts: ReadonlyMap<string, number>;
}

async function restart(root: string, instances: number, tail: number): Promise<Restart> {
  const [client = 0, peer = 0] = await freePorts(2);
  const dir = join(root, `restart-${instances}`);
  const urls = { peerUrl: `http://127.0.0.1:${peer}`, clientUrl: `http://127.0.0.1:${client}` };
  await makeBigFolder({ dir, instances, tail, ...urls });
  const member = new MemberProcess({
    id: "n1",
    dataFolder: dir,
    clientUrl: urls.clientUrl,
    peerPort: peer,
    flags: { "disk-reserve-bytes": "0" },
  });
  const startedMs = performance.now();
  member.start();
  try {
    await waitFor(
      async () => {
        member.mustNotHaveCrashed();
        return (await fetch(`${urls.clientUrl}/readyz`)).ok;
      },
      { what: "the member is ready", withinMs: 120_000 },
    );
    const readyMs = performance.now() - startedMs;
    const memory = residentBytes(member.pid);
    await sleep(settleMs);
    const settledMemory = residentBytes(member.pid);
    const settledParts = await metricsOf(urls.clientUrl);
    const said = /"msg":"(recovered [^"]+)"/.exec(member.log)?.[1] ?? "";
    console.log(`  (${said})`);
    return { readyMs, memory, settledMemory, settledParts };
  } finally {
    await member.kill();
  }
}

async function metricsOf(url: string): Promise<ReadonlyMap<string, number>> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
  return new Map(
    lines.flatMap((line) => {
      const [, name, value] = /^([a-z]\w*)(?:\{member="[^"]*"\})? (\S+)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, Number(value)] as const];
    }),
  );
}

function residentBytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}
