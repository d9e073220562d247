/**
 * Keeps retries a small share of the calls, so that a cluster in trouble is not buried by the retries of its own clients.
 *
 * Each call earns a fraction of a retry, and time earns some too, so that a process that calls rarely may still retry.
 */

import type { Clock } from "./clock.ts";

export interface RetryBudgetOptions {
  /** Retries that one call earns. Default 0.2. */
  readonly perCall: number;
  /** Retries that one second earns. Default 10. */
  readonly perSecond: number;
  /** At most so many can be saved up, which is also what a new process starts with. Default 100. */
  readonly max: number;
}

export const defaultRetryBudget: RetryBudgetOptions = { perCall: 0.2, perSecond: 10, max: 100 };

export class RetryBudget {
  readonly #options: RetryBudgetOptions;
  readonly #clock: Clock;
  #balance: number;
  #countedAt: number;

  constructor(clock: Clock, options: RetryBudgetOptions = defaultRetryBudget) {
    this.#options = options;
    this.#clock = clock;
    this.#balance = options.max;
    this.#countedAt = clock.now();
  }

  noteCall(): void {
    this.#earn(this.#options.perCall);
  }

  /** Takes one retry out; false if there is none. */
  take(): boolean {
    const now = this.#clock.now();
    this.#earn(((now - this.#countedAt) / 1000) * this.#options.perSecond);
    this.#countedAt = now;
    if (this.#balance < 1) return false;
    this.#balance -= 1;
    return true;
  }

  #earn(retries: number): void {
    this.#balance = Math.min(this.#options.max, this.#balance + retries);
  }
}
