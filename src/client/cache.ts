/**
 * A service as its callers see it: a list that keeps itself up to date, a synchronous `pick`, and `fetch` with retries at other instances.
 */

import { EventEmitter } from "node:events";
import { Balancer, type Policy } from "./balancer.ts";
import type { Cancel } from "./clock.ts";
import { RegistryError } from "./errors.ts";
import { Follower, type FollowerParts, type FollowerSource } from "./follower.ts";
import { matches } from "./instance-set.ts";
import type { RetryBudget } from "./retry-budget.ts";
import { serviceFetch, urlOf, type ServiceFetchParts, type ServiceRequestInit } from "./service-fetch.ts";
import type { Instance, InstanceFilter } from "./types.ts";

export interface ServiceOptions extends InstanceFilter {
  readonly namespace?: string | undefined;
  /** Default `leastPending`. */
  readonly policy?: Policy | undefined;
  /** Instances of this zone come first, as long as one of them works. */
  readonly preferZone?: string | undefined;
  /** After so long without a word from a member the list is called stale. Default 30,000. */
  readonly staleAfterMs?: number | undefined;
  /** `fetch`: attempts in all. Default 4. */
  readonly attempts?: number | undefined;
  /** `fetch`: until the headers of the answer are there, for one attempt. Default 5,000. */
  readonly attemptTimeoutMs?: number | undefined;
}

export interface ServiceState {
  readonly instances: readonly Instance[];
  readonly revision: number;
  /** Upper bound of the list's age, milliseconds; infinite before the first. */
  readonly ageMs: number;
  readonly stale: boolean;
  readonly source: FollowerSource;
  /** Why the list is not being renewed; null while it is. */
  readonly lastError: unknown;
}

/** An instance picked for one request. `done` must be called once, with the error if there was one. */
export interface Picked {
  readonly instance: Instance;
  /** Such as `http://10.0.0.7:8080`, without a slash at the end. */
  readonly url: string;
  done(error?: unknown): void;
}

export interface ServiceEvents {
  change: [instances: readonly Instance[]];
  stale: [state: ServiceState];
  fresh: [state: ServiceState];
}

export interface ServiceCacheParts extends Omit<FollowerParts, "maxStaleMs" | "failuresMax"> {
  readonly budget: RetryBudget;
  readonly fetch: typeof fetch;
  /** Told once, when the cache is closed. */
  readonly ended: () => void;
}

export class ServiceCache extends EventEmitter<ServiceEvents> {
  readonly name: string;
  readonly #parts: ServiceCacheParts;
  readonly #options: ServiceOptions;
  readonly #staleAfterMs: number;
  readonly #follower: Follower;
  readonly #balancer: Balancer;
  readonly #fetchParts: ServiceFetchParts;
  readonly #closed = new AbortController();
  #instances: readonly Instance[] = [];
  #isStale = false;
  #cancelStale: Cancel = () => {};
  readonly #running: Promise<void>;

  /** Not for users: `Registry.service` makes it. */
  constructor(parts: ServiceCacheParts, name: string, options: ServiceOptions) {
    super();
    // Any number of calls may wait for the first list.
    this.setMaxListeners(0);
    this.name = name;
    this.#parts = parts;
    this.#options = options;
    this.#staleAfterMs = options.staleAfterMs ?? 30_000;
    const { clock, random } = parts;
    this.#balancer = new Balancer(
      { policy: options.policy ?? "leastPending", preferZone: options.preferZone },
      clock,
      random,
    );
    this.#fetchParts = {
      service: name,
      instances: () => this.#instances,
      balancer: this.#balancer,
      budget: parts.budget,
      clock,
      random,
      fetch: parts.fetch,
      options: { attempts: options.attempts ?? 4, attemptTimeoutMs: options.attemptTimeoutMs ?? 5_000 },
    };
    this.#follower = new Follower(
      { ...parts, maxStaleMs: this.#staleAfterMs },
      { namespace: options.namespace ?? "default", service: name },
      { changed: (all) => this.#changed(all), confirmed: () => this.#confirmed() },
    );
    this.#running = this.#follower.run();
  }

  get state(): ServiceState {
    const { ageMs, revision, source, lastError } = this.#follower;
    const stale = ageMs > this.#staleAfterMs;
    return { instances: this.#instances, revision, ageMs, stale, source, lastError };
  }

  /** Those that match the options. In order of id. */
  get instances(): readonly Instance[] {
    return this.#instances;
  }

  /** Those that failed lately and are left out for a while. */
  get ejected(): readonly Instance[] {
    return this.#balancer.ejected(this.#instances);
  }

  /** Waits for the first list, and until it has `min` instances (default 1). Rejects with a RegistryError `timeout` after `timeoutMs`. */
  async ready(options: { min?: number; timeoutMs?: number; signal?: AbortSignal } = {}): Promise<this> {
    const { min = 1, timeoutMs, signal } = options;
    const isListed = (): boolean => this.#follower.source !== "none" && this.#instances.length >= min;
    if (!(await this.#until(isListed, timeoutMs, signal))) {
      const what = `${this.name}: ${this.#instances.length} instances after ${timeoutMs} ms, waiting for ${min}`;
      throw new RegistryError("timeout", what, { retryable: true, cause: this.#follower.lastError });
    }
    return this;
  }

  /** Throws a RegistryError `no_instances` when the list is empty. */
  pick(): Picked {
    const instance = this.#balancer.pick(this.#instances);
    if (instance === undefined) {
      throw new RegistryError("no_instances", `${this.name}: no instance is listed`, { retryable: true });
    }
    this.#balancer.started(instance);
    let isDone = false;
    return {
      instance,
      url: urlOf(instance),
      done: (error?: unknown) => {
        if (isDone) return;
        isDone = true;
        this.#balancer.finished(instance, error !== undefined && error !== null);
      },
    };
  }

  /** As the global `fetch`, at one of the instances. See `serviceFetch` for what is repeated. */
  async fetch(path: string, init: ServiceRequestInit = {}): Promise<Response> {
    // Right after the start there is no list yet; that is not the same as an empty one.
    if (this.#follower.source === "none") {
      const { attemptTimeoutMs = this.#fetchParts.options.attemptTimeoutMs, signal } = init;
      await this.ready({ min: 0, timeoutMs: attemptTimeoutMs, ...(signal == null ? {} : { signal }) });
    }
    return serviceFetch(this.#fetchParts, path, init);
  }

  /** Stops following. The last list stays readable. */
  async close(): Promise<void> {
    this.#closed.abort(new RegistryError("closed", `${this.name}: the list was closed`));
    this.#follower.close();
    this.#cancelStale();
    this.#parts.ended();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #changed(all: readonly Instance[]): void {
    this.#balancer.keepOnly(all);
    this.#instances = all.filter((instance) => matches(instance, this.#options));
    const instances = this.#instances;
    queueMicrotask(() => this.emit("change", instances));
  }

  #confirmed(): void {
    this.#cancelStale();
    const { clock } = this.#parts;
    const leftMs = this.#staleAfterMs - this.#follower.ageMs;
    this.#cancelStale = clock.after(Math.max(0, leftMs), () => this.#turned(true));
    if (leftMs > 0) this.#turned(false);
  }

  #turned(isStale: boolean): void {
    if (this.#isStale === isStale) return;
    this.#isStale = isStale;
    this.emit(isStale ? "stale" : "fresh", this.state);
  }

  /** Waits for a condition that only a change of the list can make true. Resolves with false at the timeout. */
  #until(
    holds: () => boolean,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const stop = AbortSignal.any([this.#closed.signal, ...(signal === undefined ? [] : [signal])]);
    return new Promise((resolve, reject) => {
      let cancel: Cancel = () => {};
      const finish = (settle: () => void): void => {
        this.off("change", check);
        stop.removeEventListener("abort", giveUp);
        cancel();
        settle();
      };
      const check = (): void => {
        if (holds()) finish(() => resolve(true));
      };
      const giveUp = (): void => finish(() => reject(stop.reason as Error));
      this.on("change", check);
      stop.addEventListener("abort", giveUp);
      if (timeoutMs !== undefined) {
        cancel = this.#parts.clock.after(timeoutMs, () => finish(() => resolve(false)));
      }
      if (stop.aborted) giveUp();
      else check();
    });
  }
}
