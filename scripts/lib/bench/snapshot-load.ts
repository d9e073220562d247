// Beside the measured member, on a loop of its own: steady changes, and on request one snapshot after the other.

import { workerData } from "node:worker_threads";
import { setTimeout as sleep } from "node:timers/promises";

const { url, endsAtMs, takesSnapshots } = workerData as {
  readonly url: string;
  readonly endsAtMs: number;
  readonly takesSnapshots: boolean;
};

async function change(): Promise<void> {
  for (let i = 0; Date.now() < endsAtMs; i += 1) {
    const body = JSON.stringify({ host: "10.0.0.2", port: 1 + (i % 60_000), ttlMs: 86_400_000 });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/v1/services/load/instances/a${i % 500}`, {
      method: "PUT",
      headers,
      body,
    });
    await answer.arrayBuffer();
    await sleep(5);
  }
}

async function snapshots(): Promise<void> {
  while (Date.now() < endsAtMs) {
    const answer = await fetch(`${url}/v1/cluster/backup`);
    await answer.arrayBuffer();
  }
}

await Promise.all([change(), change(), ...(takesSnapshots ? [snapshots()] : [])]);
