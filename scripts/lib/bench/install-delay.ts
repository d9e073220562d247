// Whether a follower that installs a snapshot stands still: the delay of its loop while it joins a member that holds many instances.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { defaultConfig } from "../../../src/config/options.ts";
import { startMember } from "../../../src/main.ts";
import { createLogger } from "../../../src/observability/logger.ts";
import { freePorts } from "../../../test/support/free-ports.ts";
import { MemberProcess } from "../../../test/support/member-process.ts";
import { waitFor } from "../../../test/support/wait-for.ts";
import { makeBigFolder } from "./big-folder.ts";

/** The longest that the follower may stand still, milliseconds: half of a shortest election timeout. */
const barMs = 150;

export async function installDelay(options: { readonly count?: string | undefined }): Promise<boolean> {
  const instances = Number(options.count ?? 200_000);
  const root = fs.mkdtempSync(join(tmpdir(), "rollcall-bench-"));
  const [donorClient = 0, donorPeer = 0, client = 0, peer = 0] = await freePorts(4);
  const host = "127.0.0.1";
  const [clientUrl, peerUrl] = [`http://${host}:${donorClient}`, `http://${host}:${donorPeer}`];
  const dataFolder = join(root, "donor");
  const donor = new MemberProcess({
    id: "n1",
    dataFolder,
    clientUrl,
    peerPort: donorPeer,
    flags: { "disk-reserve-bytes": "0" },
  });
  try {
    await makeBigFolder({ dir: dataFolder, instances, tail: 0, peerUrl, clientUrl });
    donor.start();
    await isReady(clientUrl);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const startedMs = performance.now();
    const follower = await startMember(
      {
        ...defaultConfig(),
        id: "n2",
        data: join(root, "follower"),
        listen: { host, port: client },
        peerListen: { host, port: peer },
        join: clientUrl,
        diskReserveBytes: 0,
      },
      createLogger({ level: "error", format: "json", fields: {} }),
    );
    delay.enable();
    await isReady(`http://${host}:${client}`);
    const tookMs = performance.now() - startedMs;
    delay.disable();
    await follower.stop();
    const [p999, max] = [delay.percentile(99.9) / 1e6, delay.max / 1e6];
    console.log(`a member that joins one with ${instances} instances, and installs its snapshot:`);
    console.log(`  ready after ${(tookMs / 1000).toFixed(1)} s`);
    console.log(
      `  delay of its loop meanwhile: p99.9 ${p999.toFixed(1)} ms, highest ${max.toFixed(1)} ms (bar: ${barMs} ms)`,
    );
    return max <= barMs;
  } finally {
    await donor.kill();
    fs.rmSync(root, { recursive: true, force: true });
  }
}

async function isReady(url: string): Promise<void> {
  await waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: "ready", withinMs: 100_000 });
}
