/**
 * Which instance gets the next request: the policies, and what this client knows about each instance (requests under way, recent failures).
 *
 * An instance that fails is ejected for a while, because the registry can only know after its lease, and we know now.
 */

import type { Clock } from "./clock.ts";
import type { Instance } from "./types.ts";

/**
 * `leastPending`: the fewest requests of this client under way, in turn among equals (so one request at a time is plain round robin).
 * `roundRobin`: in turn. `random`: any. `weighted`: at random by the instances' weights; weight 0 is never picked.
 */
export type Policy = "leastPending" | "roundRobin" | "random" | "weighted";

export interface BalancerOptions {
  readonly policy: Policy;
  /** Instances of this zone come first, as long as one of them works. */
  readonly preferZone?: string | undefined;
}

interface Health {
  pending: number;
  /** In a row. */
  failures: number;
  ejectedUntil: number;
}

const firstEjectionMs = 1_000;
const maxEjectionMs = 30_000;

export class Balancer {
  readonly #options: BalancerOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #health = new Map<string, Health>();
  #turn: number;

  constructor(options: BalancerOptions, clock: Clock, random: () => number) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    // Clients that start together do not all begin with the first instance.
    this.#turn = Math.floor(random() * 2 ** 20);
  }

  /** @param avoid Ids that were tried already. Undefined when nobody is left. */
  pick(instances: readonly Instance[], avoid: ReadonlySet<string> = new Set()): Instance | undefined {
    const untried = avoid.size === 0 ? instances : instances.filter(({ id }) => !avoid.has(id));
    const now = this.#clock.now();
    const working = untried.filter((instance) => !(this.#of(instance).ejectedUntil > now));
    // When all have failed lately, a guess is better than a refusal.
    const usable = working.length > 0 ? working : untried;
    const near = usable.filter(({ zone }) => zone === this.#options.preferZone);
    return this.#choose(near.length > 0 ? near : usable);
  }

  started(instance: Instance): void {
    this.#of(instance).pending += 1;
  }

  finished(instance: Instance, failed: boolean): void {
    const health = this.#of(instance);
    health.pending = Math.max(0, health.pending - 1);
    if (!failed) {
      health.failures = 0;
      health.ejectedUntil = Number.NEGATIVE_INFINITY;
      return;
    }
    const now = this.#clock.now();
    // Of many requests that fail together, only the first counts.
    if (health.ejectedUntil > now) return;
    const ejectionMs = Math.min(maxEjectionMs, firstEjectionMs * 2 ** Math.min(health.failures, 10));
    health.failures += 1;
    health.ejectedUntil = now + ejectionMs;
  }

  ejected(instances: readonly Instance[]): readonly Instance[] {
    const now = this.#clock.now();
    return instances.filter((instance) => this.#of(instance).ejectedUntil > now);
  }

  /** Forgets instances that are listed no longer. */
  keepOnly(instances: readonly Instance[]): void {
    const listed = new Set(instances.map(keyOf));
    for (const key of this.#health.keys()) if (!listed.has(key)) this.#health.delete(key);
  }

  #choose(usable: readonly Instance[]): Instance | undefined {
    switch (this.#options.policy) {
      case "roundRobin":
        return usable[this.#nextTurn(usable.length)];
      case "random":
        return usable[Math.floor(this.#random() * usable.length)];
      case "weighted":
        return this.#weighted(usable);
      case "leastPending": {
        const fewest = usable.reduce((min, one) => Math.min(min, this.#of(one).pending), Infinity);
        const idle = usable.filter((instance) => this.#of(instance).pending === fewest);
        return idle[this.#nextTurn(idle.length)];
      }
    }
  }

  #weighted(usable: readonly Instance[]): Instance | undefined {
    const total = usable.reduce((sum, { weight }) => sum + weight, 0);
    let point = this.#random() * total;
    for (const instance of usable) {
      point -= instance.weight;
      if (point < 0) return instance;
    }
    return undefined;
  }

  #nextTurn(count: number): number {
    this.#turn += 1;
    return count === 0 ? 0 : this.#turn % count;
  }

  #of(instance: Instance): Health {
    const key = keyOf(instance);
    let health = this.#health.get(key);
    if (health === undefined) {
      health = { pending: 0, failures: 0, ejectedUntil: Number.NEGATIVE_INFINITY };
      this.#health.set(key, health);
    }
    return health;
  }
}

/** A process that registered anew starts with a clean record. */
function keyOf(instance: Instance): string {
  return `${instance.id}#${instance.incarnation}`;
}
