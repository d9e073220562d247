// Members whose disks are really full: a small tmpfs each, where this user may mount one.

import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import type { MemberProcess } from "../support/member-process.ts";
import { waitFor } from "../support/wait-for.ts";

const instances = "/v1/services/web/instances";
const registration = { host: "10.0.0.1", port: 80, ttlMs: 600_000 };
const megabyte = 1024 * 1024;

function mount(folder: string): void {
  mkdirSync(folder, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], { stdio: "ignore" });
}

function unmount(folder: string): void {
  execFileSync("umount", ["-l", folder], { stdio: "ignore" });
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-mount-"));
  try {
    mount(folder);
    unmount(folder);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Leaves so many bytes free, or none. */
function fill({ settings }: MemberProcess, freeBytes: number): void {
  const file = openSync(fillerOf(settings.dataFolder), "a");
  const block = Buffer.alloc(64 * 1024);
  const free = (): number => {
    const { bavail, bsize } = statfsSync(settings.dataFolder);
    return bavail * bsize;
  };
  try {
    while (free() > freeBytes) writeSync(file, block);
  } catch {
    // Somebody else took the last block.
  } finally {
    closeSync(file);
  }
}

function fillerOf(dataFolder: string): string {
  return join(dataFolder, "filler");
}

test.skipIf(!canMount())(
  "with full disks only growth is refused, then all writes wait, and with room everything goes on by itself",
  async () => {
    const flags = { "disk-soft-bytes": String(8 * megabyte), "segment-bytes": "65536" };
    const cluster = await TestCluster.prepare({ flags });
    for (const { settings } of cluster.members) {
      mount(settings.dataFolder);
      onTestFinished(() => unmount(settings.dataFolder));
    }
    for (const member of cluster.members) member.start();
    await cluster.ready();
    const [one, two] = cluster.members as [MemberProcess, MemberProcess];
    const ask = async (method: string, path: string, body?: unknown): Promise<number> =>
      (await cluster.request(one, method, path, body)).status;
    for (const id of ["a", "b", "c"]) expect(await ask("PUT", `${instances}/${id}`, registration)).toBe(201);

    for (const member of cluster.members) fill(member, 6 * megabyte);
    await waitFor(async () => (await ask("PUT", `${instances}/more`, registration)) === 507, {
      what: "growth is refused",
    });
    expect(await ask("DELETE", `${instances}/a`)).toBe(200);
    expect(await ask("POST", `${instances}/b/renew`, {})).toBe(200);
    const warned = await waitFor(
      async () => {
        const { status, body } = await cluster.request<string>(two, "GET", "/readyz");
        return body.includes("[+]disk ok, but the disk of n") ? status : null;
      },
      { what: "/readyz says that there is little room" },
    );
    expect(warned).toBe(200);

    await waitFor(
      async () => {
        for (const member of cluster.members) fill(member, 0);
        return (await ask("POST", `${instances}/b/renew?timeoutMs=500`, {})) !== 200;
      },
      { what: "not even a renewal finds room" },
    );
    expect(cluster.running).toHaveLength(3);
    expect(await ask("GET", "/livez")).toBe(200);

    for (const { settings } of cluster.members) rmSync(fillerOf(settings.dataFolder));
    await waitFor(async () => (await ask("PUT", `${instances}/d`, registration)) < 300, {
      what: "the registry grows again",
    });
    await cluster.ready();
    for (const member of cluster.members) await member.kill();
    for (const member of cluster.members) member.start();
    await cluster.ready();
    await cluster.sameState();
    const { body } = await cluster.request<{ instances: { id: string }[] }>(
      two,
      "GET",
      `${instances}?consistency=linearizable`,
    );
    expect(body.instances.map(({ id }) => id)).toEqual(expect.arrayContaining(["b", "c", "d"]));
    expect(body.instances.map(({ id }) => id)).not.toContain("a");
  },
);
