/** Three real members on this machine, writers that never rest, and the judge of what they hold. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../../test/support/free-ports.ts";
import { MemberProcess } from "../../../test/support/member-process.ts";
import { seededRandom } from "../../../test/support/random.ts";
import { waitFor } from "../../../test/support/wait-for.ts";
import { Ledger, type Verdict, type Version } from "./ledger.ts";

export interface LabOptions {
  readonly seed: number;
  /** Writers at once. */
  readonly writers?: number;
  /** The environment of a member, by the folder that will hold its data. */
  readonly environment?: (dataFolder: string) => Record<string, string>;
}

/** Small segments and a short log, so that segments come and go, and images are needed. */
const flags = {
  "tick-ms": "25",
  "heartbeat-ms": "75",
  "election-ms": "500",
  "segment-bytes": "65536",
  "retain-entries": "200",
  "flush-interval-ms": "50",
  "disk-reserve-bytes": "65536",
};

const size = 3;
const ttlMs = 86_400_000;
const writeMs = 4_000;
const service = "/v1/services/torture/instances";

export class Lab {
  readonly members: readonly MemberProcess[];
  readonly ledger = new Ledger();
  readonly random: () => number;
  readonly #folder: string;
  readonly #writers: Promise<void>[] = [];
  #isOver = false;
  #drawn = 0;

  private constructor(folder: string, members: readonly MemberProcess[], seed: number) {
    this.#folder = folder;
    this.members = members;
    this.random = seededRandom(seed);
  }

  static async start({ seed, writers = 12, environment = () => ({}) }: LabOptions): Promise<Lab> {
    const folder = mkdtempSync(join(tmpdir(), "rollcall-torture-"));
    const ports = await freePorts(2 * size);
    const ids = Array.from({ length: size }, (_, i) => `n${i + 1}`);
    const peers = ids.map((id, i) => `${id}=http://127.0.0.1:${ports[size + i]}`).join(",");
    const members = ids.map(
      (id, i) =>
        new MemberProcess({
          id,
          dataFolder: join(folder, id),
          clientUrl: `http://127.0.0.1:${ports[i]}`,
          peerPort: ports[size + i] ?? 0,
          flags: { members: peers, ...flags },
          environment: environment(join(folder, id)),
        }),
    );
    const lab = new Lab(folder, members, seed);
    for (const member of members) member.start();
    await lab.ready(members);
    for (let i = 0; i < writers; i += 1) lab.#writers.push(lab.#write(i));
    return lab;
  }

  pick<T>(from: readonly T[]): T {
    const one = from[Math.floor(this.random() * from.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  }

  async pause(msMax: number): Promise<void> {
    await sleep(this.random() * msMax);
  }

  async ready(members: readonly MemberProcess[], withinMs = 60_000): Promise<void> {
    await waitFor(
      async () => {
        for (const member of members) member.mustNotHaveCrashed();
        const answers = await Promise.all(members.map((member) => this.#fetch(member, "/readyz")));
        return answers.every((answer) => answer.ok);
      },
      { what: `${members.map(({ id }) => id).join(", ")} are ready`, withinMs },
    );
  }

  async leader(): Promise<MemberProcess> {
    const answer = await this.#fetch(this.pick(this.members), "/v1/cluster");
    const { leader } = (await answer.json()) as { readonly leader: string | null };
    return this.members.find(({ id }) => id === leader) ?? this.pick(this.members);
  }

  /** Whether somebody else leads within this time. */
  async leaderOtherThan(member: MemberProcess, withinMs: number): Promise<boolean> {
    const others = this.members.filter((one) => one !== member);
    try {
      await waitFor(
        async () => {
          const answer = await this.#fetch(this.pick(others), "/v1/cluster");
          const { leader } = (await answer.json()) as { readonly leader: string | null };
          return leader !== null && leader !== member.id;
        },
        { what: "another leader", withinMs },
      );
      return true;
    } catch {
      return false;
    }
  }

  async compact(member: MemberProcess): Promise<void> {
    await this.#fetch(member, "/v1/cluster/compact", { method: "POST" });
  }

  /** What every member holds against what was acknowledged. */
  async judge(): Promise<Verdict> {
    const resume = await this.#holdWriters();
    try {
      const lost = new Set<string>();
      const wrong = new Set<string>();
      for (const member of this.members) {
        const verdict = this.ledger.judge(await this.#read(member));
        for (const one of verdict.lost) lost.add(`${member.id}: ${one}`);
        for (const one of verdict.wrong) wrong.add(`${member.id}: ${one}`);
      }
      const hashes = await this.#sameHash();
      if (hashes !== null) wrong.add(hashes);
      return { lost: [...lost], wrong: [...wrong] };
    } finally {
      resume();
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#writers);
    await Promise.all(this.members.filter((member) => member.isRunning).map((member) => member.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #held: Promise<void> | null = null;
  #busy = 0;

  async #holdWriters(): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    await waitFor(() => this.#busy === 0, { what: "the writers rest", withinMs: 30_000 });
    return () => {
      this.#held = null;
      resolve();
    };
  }

  async #write(writer: number): Promise<void> {
    let generation = 0;
    const mine = Array.from({ length: 8 }, (_, i) => ({ id: `w${writer}-${i}`, isThere: false }));
    while (!this.#isOver) {
      if (this.#held !== null) await this.#held;
      const one = mine[Math.floor(Math.random() * mine.length)];
      if (one === undefined) return;
      const version = one.isThere && Math.random() < 0.2 ? null : (this.#drawn += 1);
      this.#busy += 1;
      this.ledger.begin(one.id, version);
      const outcome = await this.#change(one.id, version);
      this.ledger.end(one.id, version, outcome);
      this.#busy -= 1;
      if (outcome === "acknowledged") one.isThere = version !== null;
      if (outcome === "unknown") {
        generation += 1;
        one.id = `w${writer}-g${generation}`;
        one.isThere = false;
      }
      if (outcome !== "acknowledged") await sleep(outcome === "refused" ? 50 : 5);
    }
  }

  async #change(id: string, version: Version): Promise<"acknowledged" | "unknown" | "refused"> {
    const member = this.members[Math.floor(Math.random() * this.members.length)];
    if (member === undefined || !member.isRunning) return "refused";
    const body = { host: "10.0.0.1", port: 80, ttlMs, metadata: { version: String(version) } };
    try {
      const answer = await this.#fetch(
        member,
        `${service}/${id}?timeoutMs=${writeMs}`,
        version === null
          ? { method: "DELETE" }
          : {
              method: "PUT",
              headers: { "content-type": "application/json" },
              body: JSON.stringify(body),
            },
      );
      if (answer.ok) {
        await answer.arrayBuffer();
        return "acknowledged";
      }
      const { outcome } = (await answer.json()) as { readonly outcome?: string };
      return outcome === "not_applied" ? "refused" : "unknown";
    } catch (error) {
      const { code } = (error as { readonly cause?: { readonly code?: string } }).cause ?? {};
      return code === "ECONNREFUSED" ? "refused" : "unknown";
    }
  }

  async #read(member: MemberProcess): Promise<ReadonlyMap<string, number>> {
    return waitFor(
      async () => {
        const answer = await this.#fetch(member, `${service}?consistency=linearizable&status=any`);
        if (!answer.ok) return null;
        const { instances } = (await answer.json()) as {
          readonly instances: readonly {
            readonly id: string;
            readonly metadata: { readonly version: string };
          }[];
        };
        return new Map(instances.map(({ id, metadata }) => [id, Number(metadata.version)]));
      },
      { what: `${member.id} answers a linearizable read`, withinMs: 30_000 },
    );
  }

  /** Null when all members hold the same; else what differs. */
  async #sameHash(): Promise<string | null> {
    type Hash = { readonly appliedIndex: number; readonly hash: string };
    let last: readonly Hash[] = [];
    try {
      await waitFor(
        async () => {
          const answers = await Promise.all(
            this.members.map((member) => this.#fetch(member, "/v1/cluster/hash")),
          );
          last = (await Promise.all(answers.map((answer) => answer.json()))) as readonly Hash[];
          const atOneIndex = new Set(last.map(({ appliedIndex }) => appliedIndex)).size === 1;
          return atOneIndex;
        },
        { what: "all members at one index", withinMs: 20_000 },
      );
    } catch {
      return null;
    }
    return new Set(last.map(({ hash }) => hash)).size === 1 ? null : `hashes differ: ${JSON.stringify(last)}`;
  }

  #fetch(member: MemberProcess, path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(new URL(path, member.clientUrl), { ...init, signal: AbortSignal.timeout(writeMs + 4_000) });
  }
}
