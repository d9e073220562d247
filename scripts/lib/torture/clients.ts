/**
 * Clients that never rest while members are harmed: writers that change instances of their own, readers that look whether what was
 * acknowledged is there, at any member, by both reads that promise it, and a watch that goes on wherever it can.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../../../test/support/wait-for.ts";
import { type Ledger, type Outcome, torn, type Version } from "./ledger.ts";
import type { LabMember } from "./lab-member.ts";

const service = "/v1/services/torture/instances";
const ttlMs = 86_400_000;
const requestMs = 8_000;
/** On average, so that the members have the machine for starting and catching up. */
const writePauseMs = 30;
const readPauseMs = 50;

/** How an instance of this version looks, so that parts of two versions are no version. */
export function contentOf(version: number): { readonly port: number; readonly metadata: object } {
  return { port: version % 65_536, metadata: { version: String(version), check: `of ${version * 7}` } };
}

export interface ShownInstance {
  readonly id: string;
  readonly port: number;
  readonly metadata: { readonly version: string; readonly check: string };
}

export function versionOf({ port, metadata }: ShownInstance): number {
  const version = Number(metadata.version);
  const { port: rightPort } = contentOf(version);
  return port === rightPort && metadata.check === `of ${version * 7}` ? version : torn;
}

/** Every instance that the member shows after a linearizable read. */
export async function readAll(member: LabMember): Promise<ReadonlyMap<string, number>> {
  const path = `${service}?consistency=linearizable&status=any`;
  return waitFor(
    async () => {
      const answer = await fetchFrom(member, path);
      if (!answer.ok) return null;
      const { instances } = (await answer.json()) as { readonly instances: readonly ShownInstance[] };
      return new Map(instances.map((instance) => [instance.id, versionOf(instance)]));
    },
    { what: `${member.id} answers a linearizable read`, withinMs: 30_000 },
  );
}

export function fetchFrom(member: LabMember, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(new URL(path, member.clientUrl), { signal: AbortSignal.timeout(requestMs), ...init });
}

export class Clients {
  readonly #members: readonly LabMember[];
  readonly #ledger: Ledger;
  readonly #fault: (what: string) => void;
  readonly #writeMs: number;
  readonly #loops: Promise<void>[] = [];
  #isOver = false;
  #drawn = 0;
  #busy = 0;
  /** While they are to rest. */
  #hold: PromiseWithResolvers<void> | null = null;

  /** A writer gives a write `writeMs`, and waits twice as long for the answer. */
  constructor(options: {
    readonly members: readonly LabMember[];
    readonly ledger: Ledger;
    readonly writeMs: number;
    readonly fault: (what: string) => void;
  }) {
    this.#members = options.members;
    this.#ledger = options.ledger;
    this.#writeMs = options.writeMs;
    this.#fault = options.fault;
  }

  start({ writers, readers }: { readonly writers: number; readonly readers: number }): void {
    for (let i = 0; i < writers; i += 1) this.#loops.push(this.#write(i));
    for (let i = 0; i < readers; i += 1) this.#loops.push(this.#read(i % 2 === 0));
  }

  /** Asks the member for everything that was ever written, by linearizable reads that begin now. Resolves when it has answered, or will not. */
  async lookAtAll(member: LabMember): Promise<void> {
    const looks = this.#ledger.ids.map((id) => this.#tryToLook(member, id, true));
    await Promise.all(looks);
  }

  /** Resolves when nothing is under way any more; what it resolves with lets them go on. */
  async hold(): Promise<() => void> {
    this.#hold = Promise.withResolvers<void>();
    await waitFor(() => this.#busy === 0, { what: "the clients rest", withinMs: 30_000 });
    return () => this.#goOn();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    // Where they did not come to rest in time, nobody else lets them go on.
    this.#goOn();
    await Promise.all(this.#loops);
  }

  #goOn(): void {
    this.#hold?.resolve();
    this.#hold = null;
  }

  async #write(writer: number): Promise<void> {
    let generation = 0;
    const mine = Array.from({ length: 8 }, (_, i) => ({ id: `w${writer}-${i}`, isThere: false }));
    while (!this.#isOver) {
      await this.#hold?.promise;
      const one = any(mine);
      const version = one.isThere && Math.random() < 0.2 ? null : (this.#drawn += 1);
      this.#busy += 1;
      const change = this.#ledger.begin(one.id, version);
      const { outcome, revision } = await this.#change(one.id, version);
      const fault = this.#ledger.end(change, outcome, revision);
      this.#busy -= 1;
      if (fault !== null) this.#fault(fault);
      if (outcome === "acknowledged") one.isThere = version !== null;
      if (outcome === "unknown") {
        generation += 1;
        one.id = `w${writer}-g${generation}`;
        one.isThere = false;
      }
      await sleep(2 * Math.random() * writePauseMs);
    }
  }

  async #change(
    id: string,
    version: Version,
  ): Promise<{ readonly outcome: Outcome; readonly revision: number | null }> {
    const member = any(this.#members);
    if (!member.isRunning) return { outcome: "refused", revision: null };
    try {
      const answer = await fetchFrom(member, `${service}/${id}?timeoutMs=${this.#writeMs}`, {
        ...requestFor(version),
        signal: AbortSignal.timeout(2 * this.#writeMs),
      });
      const { outcome, revision } = (await answer.json()) as {
        readonly outcome?: string;
        readonly revision?: number;
      };
      if (answer.ok) return { outcome: "acknowledged", revision: revision ?? null };
      return { outcome: outcome === "not_applied" ? "refused" : "unknown", revision: null };
    } catch (error) {
      const { code } = (error as { readonly cause?: { readonly code?: string } }).cause ?? {};
      return { outcome: code === "ECONNREFUSED" ? "refused" : "unknown", revision: null };
    }
  }

  async #read(isLinearizable: boolean): Promise<void> {
    while (!this.#isOver) {
      await this.#hold?.promise;
      const member = any(this.#members);
      const { ids } = this.#ledger;
      await sleep(readPauseMs);
      if (!member.isRunning || ids.length === 0) continue;
      await this.#tryToLook(member, any(ids), isLinearizable);
    }
  }

  /** A member that is being harmed need not answer. */
  async #tryToLook(member: LabMember, id: string, isLinearizable: boolean): Promise<void> {
    this.#busy += 1;
    await this.#look(member, id, isLinearizable).catch(() => {});
    this.#busy -= 1;
  }

  async #look(member: LabMember, id: string, isLinearizable: boolean): Promise<void> {
    const look = this.#ledger.beginLook(id);
    const level = isLinearizable ? "consistency=linearizable" : `minRevision=${this.#ledger.revision}`;
    const answer = await fetchFrom(member, `${service}/${id}?${level}`);
    if (!answer.ok && answer.status !== 404) return void (await answer.arrayBuffer());
    const body = (await answer.json()) as { readonly instance: ShownInstance };
    const fault = this.#ledger.endLook(look, answer.ok ? versionOf(body.instance) : null);
    if (fault !== null) this.#fault(`${member.id}, ${level}: ${fault}`);
  }
}

function requestFor(version: Version): RequestInit {
  if (version === null) return { method: "DELETE" };
  return {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ host: "10.0.0.1", ttlMs, ...contentOf(version) }),
  };
}

export function any<T>(from: readonly T[]): T {
  const one = from[Math.floor(Math.random() * from.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}
