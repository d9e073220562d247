/**
 * The SDK's front door: a client of one Rollcall cluster.
 *
 * Everything behind it needs nothing but Node (20 or newer). What is said here about one object holds for a process: make one `Registry`, share
 * it, and close it at the end. An open registration or service list keeps the process alive, as an open server does.
 */

import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { ServiceCache, type ServiceOptions } from "./cache.ts";
import { Caller, type Answer, type Call } from "./caller.ts";
import { monotonicClock, type Clock } from "./clock.ts";
import { RegistryError } from "./errors.ts";
import { ExitGuard, type SignalSource } from "./exit-guard.ts";
import { Members } from "./members.ts";
import { ownHost } from "./own-host.ts";
import { discoverParameters, instancePath, instancesPath, queryString } from "./paths.ts";
import { Registration } from "./registration.ts";
import { Renewer } from "./renewer.ts";
import { RetryBudget } from "./retry-budget.ts";
import { Transport, type TlsOptions } from "./transport.ts";
import type {
  CallOptions,
  Declaration,
  DiscoverQuery,
  Discovery,
  Instance,
  ReadLevel,
  ServiceList,
  WatchEvent,
  WatchQuery,
} from "./types.ts";
import { watch } from "./watch.ts";

// What a user of the package needs beside the class: the package has this one entry.
export { RegistryError } from "./errors.ts";
export type { RegistryErrorCode } from "./errors.ts";
export type { Registration, RegistrationEvents, RegistrationState } from "./registration.ts";
export type { Picked, ServiceCache, ServiceEvents, ServiceOptions, ServiceState } from "./cache.ts";
export type { ServiceRequestInit } from "./service-fetch.ts";
export type {
  Declaration,
  DeclarationChange,
  DiscoverQuery,
  Discovery,
  Instance,
  InstanceFilter,
  InstanceStatus,
  WatchEvent,
  WatchQuery,
} from "./types.ts";

export interface RegistryOptions {
  /** The members' client URLs, such as `http://127.0.0.1:7401`. Any of them answers anything; list all of them. */
  readonly servers: readonly string[];
  /** Shown to operators. Default `node`. */
  readonly clientName?: string | undefined;
  readonly token?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Bounds one call with all its attempts, milliseconds. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  /** Bounds one attempt at one member, milliseconds. Default 2,000. */
  readonly attemptTimeoutMs?: number | undefined;
  /** A watch that is silent for so long is dead, milliseconds. Default 20,000; the registry sends something at least every 15,000. */
  readonly watchIdleMs?: number | undefined;
  /**
   * Deregister everything on SIGTERM and SIGINT, and then let the process go on as it would have without us. Default true, because an instance
   * that is gone but listed costs its callers failures for a whole TTL.
   */
  readonly deregisterOnExit?: boolean | undefined;
}

/** What tests replace. */
export interface RegistryEnvironment {
  readonly clock?: Clock;
  /** Returns 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
  readonly fetch?: typeof fetch;
  /** Tells this process from the one that held an id before. */
  readonly session?: string;
  readonly signals?: SignalSource;
}

/** The events of all registrations, with the registration first. */
export interface RegistryEvents {
  registered: [registration: Registration, instance: Instance];
  lost: [registration: Registration, reason: "lease_ended" | "not_registered"];
  regained: [registration: Registration, instance: Instance];
  superseded: [registration: Registration];
}

/** Drawn once by each process: a restarted one is another. */
const processSession = randomUUID();

export class Registry extends EventEmitter<RegistryEvents> {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #fetch: typeof fetch;
  readonly #session: string;
  readonly #transport: Transport;
  readonly #members: Members;
  readonly #budget: RetryBudget;
  readonly #caller: Caller;
  readonly #renewer: Renewer;
  readonly #guard: ExitGuard | undefined;
  readonly #attemptTimeoutMs: number;
  readonly #watchIdleMs: number;
  readonly #registrations = new Set<Registration>();
  readonly #caches = new Map<string, ServiceCache>();
  readonly #closed = new AbortController();
  /** The highest revision that this client has written: its reads wait for it. */
  #writtenRevision = 0;

  constructor(options: RegistryOptions, environment: RegistryEnvironment = {}) {
    super();
    this.#clock = environment.clock ?? monotonicClock;
    this.#random = environment.random ?? Math.random;
    this.#fetch = environment.fetch ?? globalThis.fetch;
    this.#session = environment.session ?? processSession;
    this.#attemptTimeoutMs = options.attemptTimeoutMs ?? 2_000;
    this.#watchIdleMs = options.watchIdleMs ?? 20_000;
    const { token, tls } = options;
    this.#transport = new Transport({ token, tls, clientName: options.clientName ?? "node" }, this.#clock);
    this.#members = new Members(options.servers, this.#clock, this.#random);
    this.#budget = new RetryBudget(this.#clock);
    this.#caller = new Caller({
      transport: this.#transport,
      members: this.#members,
      budget: this.#budget,
      clock: this.#clock,
      random: this.#random,
      options: { timeoutMs: options.timeoutMs ?? 5_000, attemptTimeoutMs: this.#attemptTimeoutMs },
    });
    this.#renewer = new Renewer({
      send: (call) => this.#caller.call(call),
      clock: this.#clock,
      random: this.#random,
    });
    this.#guard =
      options.deregisterOnExit === false
        ? undefined
        : new ExitGuard(environment.signals ?? process, this.#clock);
  }

  /**
   * Registers an instance and keeps it registered until the handle, or this object, is closed. Resolves when the registration is committed;
   * rejects with a RegistryError when the registry refused it, or did not answer within `timeoutMs`. A service that may start before its
   * registry gives a long `timeoutMs`.
   */
  async register(declaration: Declaration, options: CallOptions = {}): Promise<Registration> {
    this.#mustBeOpen();
    const { service, namespace = "default", id, host = ownHost(), ...rest } = declaration;
    const name = { namespace, service, id: id ?? defaultId(host, declaration.port) };
    const parts = {
      call: <Body>(call: Call) => this.#caller.call<Body>(call),
      renewer: this.#renewer,
      clock: this.#clock,
      random: this.#random,
      session: this.#session,
      wrote: (revision: number) => this.#wrote(revision),
      ended: (ended: Registration) => this.#ended(ended),
    };
    const registration = new Registration(parts, name, { host, ...rest });
    registration.on("registered", (instance) => this.emit("registered", registration, instance));
    registration.on("lost", (reason) => this.emit("lost", registration, reason));
    registration.on("regained", (instance) => this.emit("regained", registration, instance));
    registration.on("superseded", () => this.emit("superseded", registration));
    this.#registrations.add(registration);
    if (this.#registrations.size === 1) this.#guard?.add(this.#leave);
    try {
      await registration.start(options);
    } catch (error) {
      this.#ended(registration);
      throw error;
    }
    return registration;
  }

  /** One answer to "who is there?". For repeated calls of a service, `service` keeps the answer up to date. */
  async discover(service: string, query: DiscoverQuery = {}): Promise<Discovery> {
    const answer = await this.#read<ServiceList>(instancesPath(query.namespace ?? "default", service), query);
    return { ...answer.body, source: answer.source };
  }

  /** One instance, with what is left of its lease as the answering member sees it. Rejects with `not_registered` when there is none. */
  async instance(
    name: { readonly namespace?: string; readonly service: string; readonly id: string },
    options: ReadLevel & CallOptions = {},
  ): Promise<Instance & { readonly expiresInMs?: number }> {
    const path = instancePath({ namespace: "default", ...name });
    const answer = await this.#read<{ instance: Instance & { expiresInMs?: number } }>(path, options);
    return answer.body.instance;
  }

  /**
   * The service as a list that keeps itself up to date, to pick from and to call through. The same service with the same options is the same
   * object, until it is closed.
   */
  service(name: string, options: ServiceOptions = {}): ServiceCache {
    this.#mustBeOpen();
    const key = JSON.stringify([name, options]);
    const known = this.#caches.get(key);
    if (known !== undefined) return known;
    const cache = new ServiceCache(
      {
        ...this.#watchParts(),
        call: (call) => this.#caller.call(call),
        budget: new RetryBudget(this.#clock),
        fetch: this.#fetch,
        ended: () => this.#caches.delete(key),
      },
      name,
      options,
    );
    this.#caches.set(key, cache);
    return cache;
  }

  /** Each change once and in order, for as long as it is read: a broken connection is resumed at any member. */
  watch(query: WatchQuery = {}): AsyncGenerator<WatchEvent, void, undefined> {
    this.#mustBeOpen();
    return watch(this.#watchParts(), { ...query, signal: this.#untilClosed(query.signal) });
  }

  /** Any other call of the API, with this client's choice of members, retries and errors. */
  call<Body>(call: Call): Promise<Answer<Body>> {
    this.#mustBeOpen();
    return this.#caller.call<Body>({ ...call, signal: this.#untilClosed(call.signal) });
  }

  /** What is registered through this object now. */
  get registrations(): readonly Registration[] {
    return [...this.#registrations];
  }

  /** Deregisters everything, stops all lists and watches, and closes the connections. Never rejects. */
  async close(): Promise<void> {
    this.#closed.abort(new RegistryError("closed", "this Registry was closed"));
    await this.#leave();
    await Promise.all([...this.#caches.values()].map((cache) => cache.close()));
    this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #leave = async (): Promise<void> => {
    await Promise.all([...this.#registrations].map((registration) => registration.close()));
  };

  async #read<Body>(path: string, query: DiscoverQuery): Promise<Answer<Body>> {
    this.#mustBeOpen();
    // What this client has written it also reads, at whichever member; said only when there is something to wait for.
    const minRevision = query.minRevision ?? (this.#writtenRevision || undefined);
    return this.#caller.call<Body>({
      method: "GET",
      path,
      query: queryString(discoverParameters({ ...query, minRevision })),
      waitMs: query.waitMs,
      timeoutMs: query.timeoutMs,
      signal: this.#untilClosed(query.signal),
    });
  }

  #watchParts() {
    return {
      transport: this.#transport,
      members: this.#members,
      clock: this.#clock,
      random: this.#random,
      openTimeoutMs: this.#attemptTimeoutMs,
      idleTimeoutMs: this.#watchIdleMs,
    };
  }

  #wrote(revision: number): void {
    this.#writtenRevision = Math.max(this.#writtenRevision, revision);
  }

  #ended(registration: Registration): void {
    this.#registrations.delete(registration);
    if (this.#registrations.size === 0) this.#guard?.remove(this.#leave);
  }

  #untilClosed(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closed.signal : AbortSignal.any([this.#closed.signal, signal]);
  }

  #mustBeOpen(): void {
    if (this.#closed.signal.aborted) throw this.#closed.signal.reason;
  }
}

/** Names allow no brackets and no percent sign, which addresses of IPv6 may have, and begin with a letter or digit. */
function defaultId(host: string, port: number): string {
  return `${host}:${port}`.replaceAll(/[^A-Za-z0-9._:@-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
}
