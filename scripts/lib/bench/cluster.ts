// Three members of their own for one measurement, in a temporary folder, with the options that people run them with.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../../test/support/free-ports.ts";
import { MemberProcess } from "../../../test/support/member-process.ts";
import { waitFor } from "../../../test/support/wait-for.ts";

export class BenchCluster {
  readonly members: readonly MemberProcess[];
  readonly #folder: string;

  private constructor(members: readonly MemberProcess[], folder: string) {
    this.members = members;
    this.#folder = folder;
  }

  /** `core`: the one that all members share; any, when null. */
  static async start(core: number | null = null): Promise<BenchCluster> {
    const folder = mkdtempSync(join(tmpdir(), "rollcall-bench-"));
    const ports = await freePorts(6);
    const list = [0, 1, 2].map((i) => `n${i + 1}=http://127.0.0.1:${ports[i + 3]}`).join(",");
    const members = [0, 1, 2].map(
      (i) =>
        new MemberProcess({
          id: `n${i + 1}`,
          dataFolder: join(folder, `n${i + 1}`),
          clientUrl: `http://127.0.0.1:${ports[i]}`,
          peerPort: ports[i + 3] ?? 0,
          flags: { members: list },
        }),
    );
    const cluster = new BenchCluster(members, folder);
    for (const member of members) {
      member.start();
      if (core !== null) pin(member.pid, core);
    }
    await cluster.ready();
    return cluster;
  }

  async ready(): Promise<void> {
    const isReady = async ({ clientUrl }: MemberProcess): Promise<boolean> =>
      (await fetch(`${clientUrl}/readyz`)).status === 200;
    await waitFor(async () => (await Promise.all(this.members.map(isReady))).every(Boolean), {
      what: "all members are ready",
      withinMs: 30_000,
    });
  }

  async end(): Promise<void> {
    const left = this.members.filter(({ isRunning }) => isRunning);
    await Promise.all(left.map((member) => member.kill("SIGKILL")));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Binds a process with all its threads to one core. */
export function pin(pid: number, core: number): void {
  execFileSync("taskset", ["-acp", String(core), String(pid)], { stdio: "ignore" });
}

/** Memory that a process holds now, MiB. */
export function residentMiB(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kilobytes ?? 0) / 1024);
}

/** The sum of a metric over its labels, as the member tells it. */
export async function metric(member: MemberProcess, name: string): Promise<number> {
  const text = await (await fetch(`${member.clientUrl}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

export async function sumOf(members: readonly MemberProcess[], name: string): Promise<number> {
  const values = await Promise.all(members.map((member) => metric(member, name)));
  return values.reduce((sum, value) => sum + value, 0);
}
