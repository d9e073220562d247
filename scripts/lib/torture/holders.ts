/**
 * Clients that hold a short lease and renew it at any member. However the members are harmed, nobody may find it gone before its TTL has passed
 * since the last renewal that was acknowledged was sent (DESIGN.md section 4); everything here runs on one machine's monotonic clock.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { any, fetchFrom } from "./clients.ts";
import type { LabMember } from "./lab-member.ts";

const ttlMs = 2_000;
const renewEveryMs = 300;
const lookEveryMs = 100;
const answerMs = 500;

interface Lease {
  readonly path: string;
  /** When the last sign of life was sent that was acknowledged; null when the lease may have run out, or was never had. */
  signMs: number | null;
}

export class Holders {
  readonly #members: readonly LabMember[];
  readonly #fault: (what: string) => void;
  readonly #loops: Promise<void>[] = [];
  #isOver = false;
  renewed = 0;
  /** Leases that were gone when they might be. */
  ranOut = 0;
  /** Times when somebody found a lease that had to be there. */
  found = 0;

  constructor(members: readonly LabMember[], fault: (what: string) => void) {
    this.#members = members;
    this.#fault = fault;
  }

  start(count: number): void {
    for (let i = 0; i < count; i += 1) {
      const lease = { path: `/v1/services/held/instances/h${i}`, signMs: null };
      this.#loops.push(this.#hold(lease), this.#look(lease));
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #hold(lease: Lease): Promise<void> {
    while (!this.#isOver) {
      const member = any(this.#members);
      const isTaken = await this.#sign(lease, member).catch(() => false);
      await sleep(isTaken ? renewEveryMs : lookEveryMs);
    }
  }

  /** Registers or renews. Returns whether it was acknowledged. */
  async #sign(lease: Lease, member: LabMember): Promise<boolean> {
    const sentMs = performance.now();
    const isRegistered = lease.signMs !== null;
    const answer = await ask(member, isRegistered ? `${lease.path}/renew` : lease.path, {
      method: isRegistered ? "POST" : "PUT",
      headers: { "content-type": "application/json" },
      body: isRegistered ? "{}" : JSON.stringify({ host: "10.0.0.2", port: 80, ttlMs }),
    });
    if (answer.status === 404) this.#gone(lease, lease.signMs, `${member.id} refused to renew it`);
    if (!answer.ok) return false;
    if (isRegistered) this.renewed += 1;
    lease.signMs = Math.max(lease.signMs ?? 0, sentMs);
    return true;
  }

  async #look(lease: Lease): Promise<void> {
    while (!this.#isOver) {
      const member = any(this.#members);
      const { signMs } = lease;
      const answer = await ask(member, `${lease.path}?consistency=linearizable`).catch(() => null);
      if (signMs !== null && answer?.ok === true) this.found += 1;
      if (signMs !== null && answer?.status === 404)
        this.#gone(lease, signMs, `${member.id} did not find it`);
      await sleep(lookEveryMs);
    }
  }

  /** Somebody was told so, to a question that was asked when the lease had last been renewed at `signMs`. */
  #gone(lease: Lease, signMs: number | null, how: string): void {
    if (signMs === null) return;
    const sinceMs = performance.now() - signMs;
    if (sinceMs < ttlMs)
      this.#fault(
        `${lease.path}, with ${ttlMs} ms to live: ${how} within ${sinceMs.toFixed(0)} ms of a renewal`,
      );
    if (lease.signMs === signMs) {
      lease.signMs = null;
      this.ranOut += 1;
    }
  }
}

async function ask(member: LabMember, path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetchFrom(member, path, { ...init, signal: AbortSignal.timeout(answerMs) });
  await answer.arrayBuffer();
  return answer;
}
