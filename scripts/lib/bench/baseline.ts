// What a cluster does when nothing is wrong: throughput and latency of each kind of request through a fixed number of clients over all members,
// each waiting for its answer.

import { BenchCluster } from "./cluster.ts";
import { Latencies } from "./latencies.ts";
import { encode, Pool } from "./wire-client.ts";

const instanceCount = 1_000;

const kinds: Readonly<Record<string, (turn: number) => string>> = {
  register: (turn) =>
    encode("PUT", path(turn), {
      host: "10.0.0.1",
      port: 80,
      ttlMs: 600_000,
      metadata: { build: String(turn) },
      session: "b",
    }),
  renew: (turn) => encode("POST", `${path(turn)}/renew`),
  discover: (turn) => encode("GET", `/v1/services/s${turn % 100}/instances`),
};

function path(turn: number): string {
  const i = turn % instanceCount;
  return `/v1/services/s${i % 100}/instances/i${i}`;
}

export async function baseline(options: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  const seconds = Number(options["seconds"] ?? 10);
  const clients = Number(options["clients"] ?? 32);
  const cluster = await BenchCluster.start();
  const pools = cluster.members.map(({ clientUrl }) => new Pool(clientUrl, clients));
  try {
    console.log(`three members, ${clients} clients, ${seconds} s each`);
    for (const [name, request] of Object.entries(kinds)) {
      const latencies = new Latencies();
      let failed = 0;
      let turn = 0;
      const endMs = performance.now() + seconds * 1000;
      const client = async (number: number): Promise<void> => {
        while (performance.now() < endMs) {
          const begunMs = performance.now();
          turn += 1;
          const bytes = request(turn);
          const status = await new Promise<number>((resolve) =>
            pools[number % pools.length]?.send(bytes, resolve),
          );
          if (status === 200 || status === 201) latencies.add(performance.now() - begunMs);
          else failed += 1;
        }
      };
      await Promise.all(Array.from({ length: clients }, (_, i) => client(i)));
      const rate = (latencies.count / seconds).toFixed(0).padStart(7);
      console.log(
        `  ${name.padEnd(10)}${rate}/s  ${latencies.toString()}${failed > 0 ? `  failed ${failed}` : ""}`,
      );
    }
    return true;
  } finally {
    for (const pool of pools) pool.close();
    await cluster.end();
  }
}
