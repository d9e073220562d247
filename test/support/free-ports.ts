/**
 * Ports of 127.0.0.1 for what listens, ends and listens there again. They lie below those that systems give to outgoing
 * connections (from 32,768 on under Linux, from 49,152 on elsewhere): such a connection keeps a listener away from its
 * port while it is open and for a minute after, and a suite leaves thousands of them.
 *
 * Whoever is given a port listens there only a moment later, and not while its member is down. So that nobody else is given it meanwhile, it is
 * claimed by a file for as long as this process runs.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPortFree } from "../../scripts/lib/is-port-free.ts";

const lowest = 10_000;
const highest = 32_000;

const attempts = 100;

const claims = join(tmpdir(), `rollcall-ports-${process.getuid?.() ?? "all"}`);
const claimed = new Set<number>();
process.once("exit", () => {
  for (const port of claimed) rmSync(join(claims, String(port)), { force: true });
});

/** So many ports, all different, that nobody used a moment ago. */
export async function freePorts(number: number): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < number) found.push(await freePortRun([0]));
  return found;
}

/** A port such that those at the given distances from it are free, for programs that take a first port and count on from there. */
export async function freePortRun(distances: readonly number[]): Promise<number> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const first = lowest + Math.floor(Math.random() * (highest - lowest));
    const ports = distances.map((distance) => first + distance);
    if (ports.every(claim) && (await Promise.all(ports.map(isPortFree))).every(Boolean)) return first;
  }
  throw new Error(`no free ports at the distances ${distances.join(", ")} in ${attempts} attempts`);
}

/** False where another process has claimed it and still runs, or this one has. */
function claim(port: number): boolean {
  mkdirSync(claims, { recursive: true });
  const file = join(claims, String(port));
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    claimed.add(port);
    return true;
  } catch {
    if (!isRunning(readClaim(file))) rmSync(file, { force: true });
    return false;
  }
}

/** Not a number while it is being written. */
function readClaim(file: string): number {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10);
  } catch {
    return Number.NaN;
  }
}

function isRunning(pid: number): boolean {
  try {
    return Number.isNaN(pid) || process.kill(pid, 0);
  } catch {
    return false;
  }
}
