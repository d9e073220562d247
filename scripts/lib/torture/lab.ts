/** Three real members on this machine, clients that never rest, and the judge of what the members hold. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../../test/support/free-ports.ts";
import { MemberProcess } from "../../../test/support/member-process.ts";
import { planted } from "../../../test/simulation/mutants/planted.ts";
import { seededRandom } from "../../../test/support/random.ts";
import { waitFor } from "../../../test/support/wait-for.ts";
import { Clients, fetchFrom, readAll } from "./clients.ts";
import { Follower } from "./follower.ts";
import { type LabMember, MemberInThisProcess } from "./lab-member.ts";
import { Ledger, type Verdict } from "./ledger.ts";
import { Links } from "./links.ts";

export interface LabOptions {
  readonly seed: number;
  /** Clients at once. */
  readonly writers?: number;
  readonly readers?: number;
  /** How long a write may take; writers that wait for a member that does not answer write nothing elsewhere. */
  readonly writeMs?: number;
  /** The main file that members run; null for the one in `src/`. */
  readonly program: string | null;
  /** A planted bug with which they run; null for none. */
  readonly mutant: string | null;
  /** Members in this process instead of one each. */
  readonly inThisProcess?: boolean;
  /** Members reach each other through `links`. */
  readonly hasRelays?: boolean;
  /** In the place of the lab's own. */
  readonly flags?: Record<string, string>;
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

export class Lab {
  readonly members: readonly LabMember[];
  readonly ledger = new Ledger();
  /** What can be cut between members; carries nothing unless the lab was started with relays. */
  readonly links: Links;
  readonly random: () => number;
  readonly #folder: string;
  readonly #clients: Clients;
  readonly #follower: Follower;
  /** What clients were told and must not have been. */
  readonly #faults = new Set<string>();

  private constructor(options: {
    readonly folder: string;
    readonly members: readonly LabMember[];
    readonly links: Links;
    readonly seed: number;
    readonly writeMs: number;
  }) {
    const { folder, members, links, seed, writeMs } = options;
    const fault = (what: string): void => this.fault(what);
    this.#folder = folder;
    this.members = members;
    this.links = links;
    this.random = seededRandom(seed);
    this.#clients = new Clients({ members, ledger: this.ledger, writeMs, fault });
    this.#follower = new Follower(members, fault);
  }

  static async start(options: LabOptions): Promise<Lab> {
    const {
      seed,
      program,
      mutant,
      writers = 6,
      readers = 2,
      writeMs = 4_000,
      inThisProcess = false,
      hasRelays = false,
      environment = () => ({}),
    } = options;
    const folder = mkdtempSync(join(tmpdir(), "rollcall-torture-"));
    const ports = await freePorts(3 * size);
    const ids = Array.from({ length: size }, (_, i) => `n${i + 1}`);
    const peerPort = (i: number): number => ports[size + i] ?? 0;
    const reachedPort = (i: number): number => (hasRelays ? (ports[2 * size + i] ?? 0) : peerPort(i));
    const peers = ids.map((id, i) => `${id}=http://127.0.0.1:${reachedPort(i)}`).join(",");
    const links = new Links();
    if (hasRelays)
      await Promise.all(ids.map((id, i) => links.add({ id, port: reachedPort(i), targetPort: peerPort(i) })));
    const members = ids.map((id, i) => {
      const settings = {
        id,
        dataFolder: join(folder, id),
        clientUrl: `http://127.0.0.1:${ports[i]}`,
        peerPort: peerPort(i),
        flags: { members: peers, ...flags, ...options.flags },
        environment: { ...environment(join(folder, id)), ...(mutant === null ? {} : planted(mutant)) },
        ...(program === null ? {} : { program }),
      };
      return inThisProcess ? new MemberInThisProcess(settings) : new MemberProcess(settings);
    });
    const lab = new Lab({ folder, members, links, seed, writeMs });
    // However this process ends, members that stand still would not even notice.
    process.once("exit", () => lab.#abandon());
    for (const member of members) member.start();
    await lab.ready(members);
    lab.#clients.start({ writers, readers });
    return lab;
  }

  /** Tells the judge what a client was told and must not have been. */
  fault(what: string): void {
    this.#faults.add(what);
  }

  pick<T>(from: readonly T[]): T {
    const one = from[Math.floor(this.random() * from.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  }

  shuffled<T>(all: readonly T[]): T[] {
    return all
      .map((one) => ({ one, at: this.random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ one }) => one);
  }

  async pause(msMax: number): Promise<void> {
    await sleep(this.random() * msMax);
  }

  async ready(members: readonly LabMember[], withinMs = 60_000): Promise<void> {
    let last: readonly string[] = [];
    const areReady = async (): Promise<boolean> => {
      for (const member of members) member.mustNotHaveCrashed();
      const answers = await Promise.all(members.map((member) => fetchFrom(member, "/readyz")));
      last = await Promise.all(answers.map((answer) => answer.text()));
      return answers.every((answer) => answer.ok);
    };
    const what = `${members.map(({ id }) => id).join(", ")} are ready`;
    await waitFor(areReady, { what, withinMs }).catch((error: unknown) => {
      const logs = members.map(({ log }) => log.slice(-1_500));
      throw new Error([String(error), ...last, ...logs].join("\n"), { cause: error });
    });
  }

  /** Whoever is said to lead; null when nobody is, or nobody answers. */
  async leader(asked: readonly LabMember[] = this.members): Promise<LabMember | null> {
    try {
      const answer = await fetchFrom(this.pick(asked), "/v1/cluster");
      const { leader } = (await answer.json()) as { readonly leader: string | null };
      return this.members.find(({ id }) => id === leader) ?? null;
    } catch {
      return null;
    }
  }

  /** Whether somebody else leads within this time. */
  async leaderOtherThan(member: LabMember, withinMs: number): Promise<boolean> {
    const others = this.members.filter((one) => one !== member);
    const isLedByOther = async (): Promise<boolean> => {
      const leader = await this.leader(others);
      return leader !== null && leader !== member;
    };
    return waitFor(isLedByOther, { what: "another leader", withinMs }).catch(() => false);
  }

  /** Waits until so many more writes were acknowledged. */
  async acknowledges(writes: number): Promise<void> {
    const enough = this.ledger.acknowledged + writes;
    await waitFor(() => this.ledger.acknowledged >= enough, {
      what: `${writes} writes are acknowledged`,
      withinMs: 30_000,
    });
  }

  async compact(member: LabMember): Promise<void> {
    await (await fetchFrom(member, "/v1/cluster/compact", { method: "POST" })).arrayBuffer();
  }

  /** See Clients. */
  lookAtAll(member: LabMember): Promise<void> {
    return this.#clients.lookAtAll(member);
  }

  /** What every member, and the watch, holds against what was acknowledged; and what clients were told meanwhile. */
  async judge(): Promise<Verdict> {
    const resume = await this.#clients.hold();
    try {
      const lost = new Set<string>();
      const wrong = new Set(this.#faults);
      const take = (who: string, found: ReadonlyMap<string, number>): void => {
        const verdict = this.ledger.judge(found);
        for (const one of verdict.lost) lost.add(`${who}: ${one}`);
        for (const one of verdict.wrong) wrong.add(`${who}: ${one}`);
      };
      for (const member of this.members) take(member.id, await readAll(member));
      take("the watch", await this.#watched());
      const different = await this.#sameHash();
      if (different !== null) wrong.add(different);
      return { lost: [...lost], wrong: [...wrong] };
    } finally {
      resume();
    }
  }

  async end(): Promise<void> {
    await Promise.all([this.#clients.stop(), this.#follower.stop()]);
    await Promise.all(this.members.filter((member) => member.isRunning).map((member) => member.kill()));
    await this.links.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Waits for nothing, because there is no time left. */
  #abandon(): void {
    for (const member of this.members) if (member.isRunning) void member.kill();
    // They may write until they are gone.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }

  async #watched(): Promise<ReadonlyMap<string, number>> {
    const answer = await fetchFrom(
      this.pick(this.members),
      "/v1/services/torture/instances?consistency=linearizable",
    );
    const { revision } = (await answer.json()) as { readonly revision: number };
    await waitFor(() => this.#follower.revision >= revision, {
      what: `the watch, at ${this.#follower.revision}, is told everything up to ${revision}`,
      withinMs: 30_000,
    });
    return this.#follower.view;
  }

  /** Null when all members hold the same at one index; else what differs. */
  async #sameHash(): Promise<string | null> {
    type Hash = { readonly appliedIndex: number; readonly hash: string };
    const hashes = await waitFor(
      async () => {
        const answers = await Promise.all(
          this.members.map((member) => fetchFrom(member, "/v1/cluster/hash")),
        );
        const found = (await Promise.all(answers.map((answer) => answer.json()))) as readonly Hash[];
        return new Set(found.map(({ appliedIndex }) => appliedIndex)).size === 1 ? found : null;
      },
      { what: "all members at one index", withinMs: 30_000 },
    );
    const isSame = new Set(hashes.map(({ hash }) => hash)).size === 1;
    return isSame ? null : `hashes differ: ${JSON.stringify(hashes)}`;
  }
}
