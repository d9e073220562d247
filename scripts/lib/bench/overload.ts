// Much more than the cluster can do, open loop: what is sent does not wait for what was answered. The members share one core, because a
// generator that has to share it with them would only slow itself down.
//
// First the maximum is measured: as much of the storm as comes through a fixed number of connections that each wait for their answer, beside
// the renewals that are always there. Then a multiple of that is sent. Renewals stay at their own rate: instances that live do not renew
// more often because somebody else asks too much.

import { setTimeout as sleep } from "node:timers/promises";
import type { MemberProcess } from "../../../test/support/member-process.ts";
import { BenchCluster, metric, pin, residentMiB, sumOf } from "./cluster.ts";
import { Latencies } from "./latencies.ts";
import { encode, Pool } from "./wire-client.ts";

const instanceCount = 300;
const serviceCount = 30;
const renewalsPerSecond = 100;
/** What the maximum is measured with. */
const closedLoopClients = 48;
/** Whoever renews has connections of its own: clients that ask too much are others. */
const renewalConnectionsMax = 300;
const bars = { goodputShare: 0.8, renewalsShare: 0.999, recoveryMs: 5_000 };

type Kind = "renewal" | "registration" | "read";

class Tally {
  sent = 0;
  accepted = 0;
  refused = 0;
  failed = 0;
  readonly accepting = new Latencies();
  readonly refusing = new Latencies();

  note(status: number, ms: number): void {
    if (status === 200 || status === 201) {
      this.accepted += 1;
      this.accepting.add(ms);
    } else if (status === 503 || status === 429) {
      this.refused += 1;
      this.refusing.add(ms);
    } else this.failed += 1;
  }
}

class Load {
  readonly #pools: readonly Pool[];
  readonly #renewalPools: readonly Pool[];
  readonly #storm: string;
  #turn = 0;
  tallies = Load.#empty();
  /** Requests that were due while all connections were busy: not offered. */
  unsent = 0;

  constructor(members: readonly MemberProcess[], { storm, connections }: Settings) {
    this.#pools = members.map(({ clientUrl }) => new Pool(clientUrl, connections / members.length));
    this.#renewalPools = members.map(
      ({ clientUrl }) => new Pool(clientUrl, renewalConnectionsMax / members.length),
    );
    this.#storm = storm;
  }

  static #empty(): Record<Kind, Tally> {
    return { renewal: new Tally(), registration: new Tally(), read: new Tally() };
  }

  /** Begins to count anew. What is still under way is counted where it was sent. */
  take(): Record<Kind, Tally> {
    const taken = this.tallies;
    this.tallies = Load.#empty();
    return taken;
  }

  get connections(): number {
    return this.#pools.reduce((sum, pool) => sum + pool.size, 0);
  }

  stormKind(): Kind {
    if (this.#storm === "mixed") return this.#turn % 2 === 0 ? "registration" : "read";
    return this.#storm === "reads" ? "read" : "registration";
  }

  send(kind: Kind, done?: () => void): void {
    this.#turn += 1;
    const tally = this.tallies[kind];
    const pools = kind === "renewal" ? this.#renewalPools : this.#pools;
    const pool = pools[this.#turn % pools.length];
    const begunMs = performance.now();
    const isSent = pool?.send(requestOf(kind, this.#turn), (status) => {
      tally.note(status, performance.now() - begunMs);
      done?.();
    });
    if (isSent === true) tally.sent += 1;
    else {
      this.unsent += 1;
      if (done !== undefined) setImmediate(done);
    }
  }

  /** At a rate, whatever is answered. */
  async openLoop(seconds: number, ratePerSecond: () => number, kind: () => Kind): Promise<void> {
    const beginMs = performance.now();
    let due = 0;
    let lastMs = beginMs;
    for (;;) {
      const nowMs = performance.now();
      if (nowMs - beginMs >= seconds * 1000) return;
      due += ((nowMs - lastMs) / 1000) * ratePerSecond();
      lastMs = nowMs;
      for (; due >= 1; due -= 1) this.send(kind());
      await sleep(1);
    }
  }

  /** Each client waits for its answer before it asks again. */
  async closedLoop(seconds: number): Promise<void> {
    const endMs = performance.now() + seconds * 1000;
    const client = async (): Promise<void> => {
      while (performance.now() < endMs)
        await new Promise<void>((resolve) => this.send(this.stormKind(), resolve));
    };
    await Promise.all(Array.from({ length: closedLoopClients }, client));
  }

  close(): void {
    for (const pool of [...this.#pools, ...this.#renewalPools]) pool.close();
  }
}

function place(turn: number): { readonly service: string; readonly id: string } {
  const i = turn % instanceCount;
  return { service: `s${i % serviceCount}`, id: `i${i}` };
}

const renewals = Array.from({ length: instanceCount }, (_, i) => {
  const { service, id } = place(i);
  return encode("POST", `/v1/services/${service}/instances/${id}/renew`);
});
const reads = Array.from({ length: serviceCount }, (_, i) => encode("GET", `/v1/services/s${i}/instances`));

/** Registrations change something each time, so that each goes through the log and to all watches. */
function requestOf(kind: Kind, turn: number): string {
  if (kind === "renewal") return renewals[turn % instanceCount] ?? "";
  if (kind === "read") return reads[turn % serviceCount] ?? "";
  const { service, id } = place(turn);
  return encode("PUT", `/v1/services/${service}/instances/${id}`, body(turn));
}

function body(turn: number): object {
  return {
    host: "10.0.0.1",
    port: 8080,
    zone: "z1",
    metadata: { build: String(turn) },
    ttlMs: 600_000,
    session: "bench",
  };
}

export async function overload(options: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  const { seconds = "60", factor = "5", storm = "mixed", connections = "2400" } = options;
  const cluster = await BenchCluster.start(0);
  pin(process.pid, 1);
  try {
    return await run(cluster, {
      seconds: Number(seconds),
      factor: Number(factor),
      storm,
      connections: Number(connections),
    });
  } finally {
    await cluster.end();
  }
}

interface Settings {
  readonly seconds: number;
  readonly factor: number;
  readonly storm: string;
  /** That the storm may open. Whoever finds all of them busy does not ask. */
  readonly connections: number;
}

async function run({ members }: BenchCluster, settings: Settings): Promise<boolean> {
  const { seconds, factor, storm } = settings;
  const load = new Load(members, settings);
  for (let i = 0; i < instanceCount; i += 1)
    await new Promise<void>((resolve) => load.send("registration", resolve));

  const cpuSeconds = (): Promise<number> => sumOf(members, "process_cpu_seconds_total");
  const maximum = await measureMaximum(load, cpuSeconds);
  const before = await usual(load);
  const elections = await sumOf(members, "rollcall_raft_elections_total");
  let peakMiB = 0;
  const watchMemory = setInterval(() => {
    peakMiB = Math.max(peakMiB, ...members.map(({ pid }) => residentMiB(pid)));
  }, 500);
  console.log(
    `storm of ${storm}: ${factor} x ${maximum.toFixed(0)}/s beside ${renewalsPerSecond} renewals/s, for ${seconds} s`,
  );
  load.take();
  load.unsent = 0;
  const toldBefore = members.map(({ log }) => log.length);
  const cpuBefore = await cpuSeconds();
  const ownCpuBefore = process.cpuUsage();
  await Promise.all([
    load.openLoop(
      seconds,
      () => renewalsPerSecond,
      () => "renewal",
    ),
    load.openLoop(
      seconds,
      () => maximum * factor,
      () => load.stormKind(),
    ),
  ]);
  const tallies = load.take();
  const endMs = performance.now();
  const cores = ((await cpuSeconds()) - cpuBefore) / seconds;
  const ownCores = coresOf(process.cpuUsage(ownCpuBefore), seconds);
  const recoveryMs = await untilUsual(load, before, endMs);
  const story = members.map(({ log }, i) => log.slice(toldBefore[i]));
  clearInterval(watchMemory);
  const newElections = (await sumOf(members, "rollcall_raft_elections_total")) - elections;
  const pressures = await Promise.all(members.map((member) => metric(member, "rollcall_http_pressure")));

  const { renewal, registration, read } = tallies;
  const goodput = (registration.accepted + read.accepted) / seconds;
  const goodputShare = goodput / maximum;
  const renewalsShare = renewal.accepted / renewal.sent;
  const offered = (registration.sent + read.sent) / seconds;
  const line = (what: string, value: string): void => console.log(`  ${what.padEnd(22)}${value}`);
  line("maximum", `${maximum.toFixed(0)}/s (closed loop, ${closedLoopClients} clients)`);
  line(
    "offered",
    `${offered.toFixed(0)}/s, ${(offered / maximum).toFixed(2)} x the maximum; ${load.unsent} more found no connection of ${load.connections}`,
  );
  line(
    "goodput",
    `${goodput.toFixed(0)}/s, ${percent(goodputShare)} of the maximum (registrations ${(registration.accepted / seconds).toFixed(0)}/s, reads ${(read.accepted / seconds).toFixed(0)}/s)`,
  );
  line(
    "refused",
    `${((registration.refused + read.refused) / seconds).toFixed(0)}/s; failed otherwise: ${registration.failed + read.failed}`,
  );
  line(
    "renewals",
    `${renewal.accepted} of ${renewal.sent} accepted, ${percent(renewalsShare)}; refused ${renewal.refused}, failed ${renewal.failed}`,
  );
  line("latency of renewals", renewal.accepting.toString());
  line("... of registrations", registration.accepting.toString());
  line("... of reads", read.accepting.toString());
  line("... of refusals", (registration.refusing.count > 0 ? registration : read).refusing.toString());
  line(
    "processor",
    `the members used ${cores.toFixed(2)} of their core, the generator ${ownCores.toFixed(2)} of its own`,
  );
  line("elections", String(newElections));
  line("memory", `at most ${peakMiB} MiB a member`);
  line(
    "recovery",
    recoveryMs === null
      ? "not within 30 s"
      : `${Math.round(recoveryMs)} ms until a renewal takes what it took before (${before.toFixed(1)} ms)`,
  );
  line("pressure after", pressures.map((one) => one.toFixed(2)).join(" "));
  // Why there was an election, or anything else that an operator would be told.
  for (const told of story) process.stdout.write(told);
  load.close();
  const missed = [
    ...(goodputShare < bars.goodputShare ? ["goodput"] : []),
    ...(renewalsShare < bars.renewalsShare ? ["renewals"] : []),
    ...(newElections > 0 ? ["elections"] : []),
    ...(recoveryMs === null || recoveryMs > bars.recoveryMs ? ["recovery"] : []),
  ];
  console.log(missed.length === 0 ? "every bar was met" : `missed: ${missed.join(", ")}`);
  return missed.length === 0;
}

/** A generator that has no processor left measures itself. */
const coresOf = ({ user, system }: NodeJS.CpuUsage, seconds: number): number =>
  (user + system) / 1e6 / seconds;

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

/** Accepted requests of the storm a second, when each client waits for its answer. The first seconds warm the compiler up. */
async function measureMaximum(load: Load, cpuSeconds: () => Promise<number>): Promise<number> {
  const seconds = 10;
  const background = load.openLoop(
    seconds + 5,
    () => renewalsPerSecond,
    () => "renewal",
  );
  await load.closedLoop(5);
  load.take();
  const cpuBefore = await cpuSeconds();
  await load.closedLoop(seconds);
  const cpuUsed = (await cpuSeconds()) - cpuBefore;
  const { registration, read } = load.take();
  await background;
  const accepted = registration.accepted + read.accepted;
  // Far below one core: others used it too, and the figures say more about them than about the cluster.
  console.log(
    `maximum: the members used ${(cpuUsed / seconds).toFixed(2)} of their core, ${Math.round((cpuUsed * 1e6) / accepted)} µs a request`,
  );
  return accepted / seconds;
}

/** What a renewal takes when little is going on, the median of a hundred, milliseconds. */
async function usual(load: Load): Promise<number> {
  await sleep(2_000);
  load.take();
  for (let i = 0; i < 100; i += 1) await new Promise<void>((resolve) => load.send("renewal", resolve));
  return load.take().renewal.accepting.percentile(0.5);
}

/** Until twenty requests of each kind in a row are accepted, and half of the renewals take at most twice what they used to. */
async function untilUsual(load: Load, beforeMs: number, sinceMs: number): Promise<number | null> {
  while (performance.now() - sinceMs < 30_000) {
    load.take();
    for (let i = 0; i < 60; i += 1) {
      const kind = (["renewal", "registration", "read"] as const)[i % 3] ?? "read";
      await new Promise<void>((resolve) => load.send(kind, resolve));
    }
    const { renewal, registration, read } = load.take();
    const isServed = renewal.accepted + registration.accepted + read.accepted === 60;
    if (isServed && renewal.accepting.percentile(0.5) <= Math.max(5, 2 * beforeMs))
      return performance.now() - sinceMs;
  }
  return null;
}
