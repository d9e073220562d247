/**
 * A cluster of real processes on free ports of this machine, with temporary data folders. It ends with the test that made it; when that
 * test fails, the members' logs are printed.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFailed, onTestFinished } from "vitest";
import { freePorts } from "./free-ports.ts";
import { MemberProcess } from "./member-process.ts";
import { PeerProxy } from "./peer-proxy.ts";
import { waitFor } from "./wait-for.ts";

export interface ClusterSettings {
  readonly size?: number;
  /** Options of `serve` for every member, without the leading dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Put a proxy before each peer port. */
  readonly proxied?: boolean;
}

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface MemberRow {
  readonly id: string;
  readonly role: string;
  readonly voter: boolean;
  readonly reachable: boolean;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

export interface ClusterAnswer {
  readonly clusterId: string;
  readonly member: string;
  readonly leader: string | null;
  readonly term: number;
  readonly revision: number;
  readonly members: readonly MemberRow[];
}

export interface StateHash {
  readonly appliedIndex: number;
  readonly revision: number;
  readonly hash: string;
}

/** Elections within a second, so that tests that kill leaders are quick. Heartbeats are missed six times before one. */
const quickElections = { "tick-ms": "25", "heartbeat-ms": "75", "election-ms": "500" };

/** Members of tests need not fill the disk. */
const smallReserve = { "disk-reserve-bytes": "65536" };

/** How long a request may take before the harness gives it up. */
const requestMs = 30_000;

export class TestCluster {
  readonly members: MemberProcess[];
  /** One for each member, in the same order; empty unless asked for. */
  readonly proxies: readonly PeerProxy[];
  readonly folder: string;

  private constructor(folder: string, members: MemberProcess[], proxies: readonly PeerProxy[]) {
    this.folder = folder;
    this.members = members;
    this.proxies = proxies;
  }

  /** Members that are not running yet. */
  static async prepare({
    size = 3,
    flags = {},
    proxied = false,
  }: ClusterSettings = {}): Promise<TestCluster> {
    const folder = mkdtempSync(join(tmpdir(), "rollcall-cluster-"));
    const ports = await freePorts(3 * size);
    const ids = Array.from({ length: size }, (_, index) => `n${index + 1}`);
    const portOf = (group: number, index: number): number => ports[group * size + index] ?? 0;
    const list = ids.map((id, index) => `${id}=http://127.0.0.1:${portOf(proxied ? 2 : 1, index)}`).join(",");
    const members = ids.map(
      (id, index) =>
        new MemberProcess({
          id,
          dataFolder: join(folder, id),
          clientUrl: `http://127.0.0.1:${portOf(0, index)}`,
          peerPort: portOf(1, index),
          flags: { members: list, ...quickElections, ...smallReserve, ...flags },
        }),
    );
    const proxies = proxied ? ids.map((_, index) => new PeerProxy(portOf(1, index))) : [];
    await Promise.all(proxies.map((proxy, index) => proxy.listen(portOf(2, index))));
    const cluster = new TestCluster(folder, members, proxies);
    onTestFinished(() => cluster.end());
    onTestFailed(() => cluster.printLogs());
    return cluster;
  }

  /** All members running, with a leader. */
  static async start(settings: ClusterSettings = {}): Promise<TestCluster> {
    const cluster = await TestCluster.prepare(settings);
    for (const member of cluster.members) member.start();
    await cluster.ready();
    return cluster;
  }

  member(id: string): MemberProcess {
    const member = this.members.find((one) => one.id === id);
    if (member === undefined) throw new Error(`there is no member ${id}`);
    return member;
  }

  /** One more member, not running yet, with its own options of `serve` (without the leading dashes). */
  async add(id: string, flags: Readonly<Record<string, string>>): Promise<MemberProcess> {
    const [client = 0, peerPort = 0] = await freePorts(2);
    const clientUrl = `http://127.0.0.1:${client}`;
    const member = new MemberProcess({
      id,
      dataFolder: join(this.folder, id),
      clientUrl,
      peerPort,
      flags: { ...quickElections, ...smallReserve, ...flags },
    });
    this.members.push(member);
    return member;
  }

  /** Those that run; throws when one has crashed. */
  get running(): readonly MemberProcess[] {
    for (const member of this.members) member.mustNotHaveCrashed();
    return this.members.filter((member) => member.isRunning);
  }

  /** Everybody but this one. */
  others(id: string): readonly MemberProcess[] {
    return this.members.filter((member) => member.id !== id);
  }

  /** One request to one member; rejects when it does not answer. */
  async request<Body = Record<string, unknown>>(
    member: MemberProcess,
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<Body>> {
    const response = await fetch(new URL(path, member.clientUrl), {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      signal: AbortSignal.timeout(requestMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true;
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as Body,
    };
  }

  /** Resolves when all running members are ready and agree on a leader; with its id. */
  async ready(): Promise<string> {
    await waitFor(
      async () => {
        const answers = await Promise.all(
          this.running.map((member) => this.request(member, "GET", "/readyz")),
        );
        return answers.every((answer) => answer.status === 200);
      },
      { what: `${this.running.map((member) => member.id).join(", ")} are ready` },
    );
    return this.leader();
  }

  /** The leader that a majority of the running members follow, and that runs. */
  async leader(): Promise<string> {
    return waitFor(
      async () => {
        const pictures = await Promise.all(
          this.running.map((member) => this.request<ClusterAnswer>(member, "GET", "/v1/cluster")),
        );
        const leaders = new Set(pictures.map((picture) => picture.body.leader));
        const [leader] = leaders;
        return leaders.size === 1 && leader !== undefined && leader !== null && this.member(leader).isRunning
          ? leader
          : null;
      },
      { what: "the running members follow one leader" },
    );
  }

  /** What all running members hold, once they hold the same. */
  async sameState(): Promise<StateHash> {
    return waitFor(
      async () => {
        const states = await Promise.all(
          this.running.map((member) => this.request<StateHash>(member, "GET", "/v1/cluster/hash")),
        );
        const [first, ...others] = states.map((state) => state.body);
        const same = (other: StateHash): boolean =>
          other.hash === first?.hash && other.revision === first.revision;
        return first !== undefined && states.every(({ status }) => status === 200) && others.every(same)
          ? first
          : null;
      },
      { what: "all running members are at the same revision and state hash" },
    );
  }

  printLogs(): void {
    for (const member of this.members) {
      const lines = member.log.split("\n").slice(-60).join("\n");
      console.log(`── ${member.id} (${member.clientUrl}) ──\n${lines}`);
    }
  }

  async end(): Promise<void> {
    const left = this.members.filter((member) => member.isRunning);
    await Promise.all(left.map((member) => member.kill("SIGKILL")));
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
