// Starts peer-process.ts and talks to it.

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { Member } from "../../../src/raft/types.ts";
import { eventually } from "./eventually.ts";
import type { PeerProcessSettings } from "./peer-process.ts";
import { clusterId, quickLimits } from "./peers.ts";

const script = fileURLToPath(new URL("peer-process.ts", import.meta.url));
const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});

export interface ChildPeer {
  readonly child: ChildProcess;
  readonly member: Member;
  readonly lines: readonly string[];
  /** The exit status, null while it runs. */
  status(): number | null;
}

/** Member `id` of the usual cluster, which knows `members`. */
export async function startChild(id: string, members: readonly Member[]): Promise<ChildPeer> {
  const settings: PeerProcessSettings = { id, clusterId, members, limits: quickLimits };
  const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.add(child);
  const lines: string[] = [];
  child.stdout.on("data", (text: Buffer) => lines.push(...text.toString("utf8").trim().split("\n")));
  await eventually("the child listens", () => lines.some((line) => line.startsWith("listening ")));
  const port = lines[0]?.split(" ")[1] ?? "";
  const member = {
    id,
    incarnation: `${id}-first`,
    peerUrl: `http://127.0.0.1:${port}`,
    clientUrl: "http://c",
  };
  return { child, member, lines, status: () => child.exitCode };
}
