// Whether a snapshot holds up the loop: its delay at many instances under steady changes, with and without snapshots under way.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import { defaultConfig } from "../../../src/config/options.ts";
import { startMember } from "../../../src/main.ts";
import { createLogger } from "../../../src/observability/logger.ts";
import { freePorts } from "../../../test/support/free-ports.ts";
import { waitFor } from "../../../test/support/wait-for.ts";
import { makeBigFolder } from "./big-folder.ts";

/** How much more a snapshot may cost, milliseconds. */
const barMs = 20;

export async function snapshotDelay(options: {
  readonly seconds?: string | undefined;
  readonly count?: string | undefined;
}): Promise<boolean> {
  const seconds = Number(options.seconds ?? 15);
  const instances = Number(options.count ?? 200_000);
  const root = fs.mkdtempSync(join(tmpdir(), "rollcall-bench-"));
  try {
    const [client = 0, peer = 0] = await freePorts(2);
    const host = "127.0.0.1";
    const [clientUrl, peerUrl] = [`http://${host}:${client}`, `http://${host}:${peer}`];
    const dir = join(root, "data");
    await makeBigFolder({ dir, instances, tail: 0, peerUrl, clientUrl });
    const config = {
      ...defaultConfig(),
      id: "n1",
      data: dir,
      listen: { host, port: client },
      peerListen: { host, port: peer },
      diskReserveBytes: 0,
    };
    const logger = createLogger({ level: "error", format: "json", fields: {} });
    const member = await startMember(config, logger);
    await waitFor(async () => (await fetch(`${clientUrl}/readyz`)).ok, { what: "ready", withinMs: 60_000 });
    // What the load of everything has left to do is not what is measured.
    await fetch(`${clientUrl}/v1/cluster/hash`);
    const without = await delayOf(clientUrl, seconds, false);
    const during = await delayOf(clientUrl, seconds, true);
    await member.stop();
    console.log(
      `event-loop delay of a member with ${instances} instances under steady changes, milliseconds:`,
    );
    console.log(
      `  without snapshots     p99.9 ${without.p999.toFixed(1)}, highest ${without.max.toFixed(1)}`,
    );
    console.log(`  snapshots all the time p99.9 ${during.p999.toFixed(1)}, highest ${during.max.toFixed(1)}`);
    const isWithin = during.p999 - without.p999 <= barMs;
    console.log(`  ${isWithin ? "within" : "MISSES"} the bar of ${barMs} ms more`);
    return isWithin;
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

async function delayOf(
  url: string,
  seconds: number,
  takesSnapshots: boolean,
): Promise<{ readonly p999: number; readonly max: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const workerData = { url, endsAtMs: Date.now() + seconds * 1000, takesSnapshots };
  const load = new Worker(new URL("snapshot-load.ts", import.meta.url), { workerData });
  delay.enable();
  await new Promise<void>((resolve, reject) => {
    load.once("exit", () => resolve());
    load.once("error", reject);
  });
  delay.disable();
  return { p999: delay.percentile(99.9) / 1e6, max: delay.max / 1e6 };
}
