/**
 * Renews all leases of this client, each in its time, those that are nearly due together in one request.
 *
 * It keeps no lease's state: it tells the owner what the registry said, and asks again soon when the registry said nothing.
 */

import { fullJitter } from "./backoff.ts";
import type { Answer, Call } from "./caller.ts";
import type { Cancel, Clock } from "./clock.ts";
import type { InstanceName } from "./paths.ts";
import type { RenewalOutcome, RenewalsAnswer } from "./types.ts";

/** A lease to be renewed. Its owner answers what it is now, and hears what became of it. */
export interface Renewable {
  readonly name: InstanceName;
  readonly incarnation: () => number;
  readonly ttlMs: () => number;
  /** @param sentAt When the renewal that was acknowledged was sent. */
  readonly renewed: (sentAt: number) => void;
  /** The registry does not keep this lease any more. It is renewed no longer, unless it is added again. */
  readonly refused: (code: "not_registered" | "superseded") => void;
}

type Send = (call: Call) => Promise<Answer<RenewalsAnswer>>;

/** 10,000 are allowed; half of them stay under the 4 MiB of a request even with the longest names. */
const renewalsPerRequest = 5_000;
/** Renewals due within this share of their TTL go along with the one that is due now. */
const companyShareOfTtl = 0.05;
/** The moment of a renewal is drawn from the last tenth of its interval, so that clients do not beat in time. */
const jitterShare = 0.1;
const retryBounds = { firstMs: 200, maxMs: 2_000 };

interface Due {
  at: number;
  failures: number;
}

export class Renewer {
  readonly #send: Send;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** What waits for its time. A lease whose renewal is on its way is not in here. */
  readonly #waiting = new Map<Renewable, Due>();
  readonly #travelling = new Set<Renewable>();
  /** When the timer goes off; infinite without one. */
  #wakesAt = Number.POSITIVE_INFINITY;
  #cancel: Cancel = () => {};

  constructor(parts: { readonly send: Send; readonly clock: Clock; readonly random: () => number }) {
    this.#send = parts.send;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  /** @param sentAt When the grant that is to be renewed was asked for. */
  add(lease: Renewable, sentAt: number, renewAfterMs: number): void {
    this.#travelling.delete(lease);
    this.#wait(lease, { at: sentAt + this.#jittered(renewAfterMs), failures: 0 });
  }

  remove(lease: Renewable): void {
    this.#waiting.delete(lease);
    this.#travelling.delete(lease);
    // A timer that finds nothing to do is harmless, but it would keep the process alive.
    if (this.#waiting.size === 0) this.#arm();
  }

  #jittered(renewAfterMs: number): number {
    return renewAfterMs * (1 - jitterShare * this.#random());
  }

  #wait(lease: Renewable, due: Due): void {
    this.#waiting.set(lease, due);
    if (due.at < this.#wakesAt) this.#wakeAt(due.at);
  }

  #arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#waiting.values()) next = Math.min(next, at);
    this.#wakeAt(next);
  }

  #wakeAt(at: number): void {
    this.#cancel();
    this.#wakesAt = at;
    const pauseMs = Math.max(0, at - this.#clock.now());
    this.#cancel = Number.isFinite(at) ? this.#clock.after(pauseMs, () => this.#renewDue()) : () => {};
  }

  #renewDue(): void {
    const now = this.#clock.now();
    // Leases of one length go together, because the answer's renewAfterMs is one for all that were asked.
    const byTtl = new Map<number, [Renewable, number][]>();
    for (const [lease, due] of this.#waiting) {
      const ttlMs = lease.ttlMs();
      if (due.at > now + ttlMs * companyShareOfTtl) continue;
      this.#waiting.delete(lease);
      this.#travelling.add(lease);
      const group = byTtl.get(ttlMs) ?? [];
      group.push([lease, due.failures]);
      byTtl.set(ttlMs, group);
    }
    for (const [ttlMs, group] of byTtl) {
      for (let i = 0; i < group.length; i += renewalsPerRequest) {
        void this.#renew(group.slice(i, i + renewalsPerRequest), ttlMs);
      }
    }
    this.#arm();
  }

  async #renew(group: readonly [Renewable, number][], ttlMs: number): Promise<void> {
    let answer: Answer<RenewalsAnswer>;
    try {
      answer = await this.#send({
        method: "POST",
        path: "/v1/renewals",
        body: { renewals: group.map(([lease]) => ({ ...lease.name, incarnation: lease.incarnation() })) },
        // A short lease cannot wait as long for a member that hangs.
        attemptTimeoutMs: Math.min(2_000, Math.max(250, ttlMs / 4)),
      });
    } catch {
      // Nobody acknowledged. The lease ends by its owner's clock if this goes on; until then, and after it too, we keep asking.
      for (const [lease, failures] of group) this.#again(lease, failures + 1);
      return;
    }
    for (const [i, [lease, failures]] of group.entries()) {
      this.#settle(lease, failures, answer, answer.body.results[i]);
    }
  }

  #settle(
    lease: Renewable,
    failures: number,
    answer: Answer<RenewalsAnswer>,
    result: RenewalOutcome | undefined,
  ): void {
    // Closed, or registered anew, while the renewal was on its way: the answer is about the past.
    if (!this.#travelling.delete(lease)) return;
    if (result?.ok === true) {
      this.#wait(lease, { at: answer.sentAt + this.#jittered(answer.body.renewAfterMs), failures: 0 });
      lease.renewed(answer.sentAt);
    } else if (result?.code === "not_registered" || result?.code === "superseded") {
      lease.refused(result.code);
    } else {
      this.#travelling.add(lease);
      this.#again(lease, failures + 1);
    }
  }

  #again(lease: Renewable, failures: number): void {
    if (!this.#travelling.delete(lease)) return;
    const pauseMs = fullJitter(failures, retryBounds, this.#random);
    this.#wait(lease, { at: this.#clock.now() + pauseMs, failures });
  }
}
