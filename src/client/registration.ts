/**
 * The handle of one registered instance: keeps it registered until it is closed, and says when it could not.
 *
 * States: `registered` → `lost` (the lease has run out by our own clock, or the registry does not know it) → `registered` again; `superseded`
 * (another process has registered this id: final, because two processes that take an id from each other help nobody); `closed`.
 */

import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { fullJitter } from "./backoff.ts";
import type { Answer, Call } from "./caller.ts";
import { sleep, type Clock } from "./clock.ts";
import { RegistryError } from "./errors.ts";
import { Lease } from "./lease.ts";
import { instancePath, queryString, type InstanceName } from "./paths.ts";
import type { Renewable, Renewer } from "./renewer.ts";
import type { CallOptions, DeclarationChange, Instance, RegisterAnswer } from "./types.ts";

export type RegistrationState = "registered" | "lost" | "superseded" | "closed";

export interface RegistrationEvents {
  registered: [instance: Instance];
  /** The registry may not list the instance any more. It is being registered again. */
  lost: [reason: "lease_ended" | "not_registered"];
  /** Listed again: under the same incarnation if only the renewals were late, under a new one after `not_registered`. */
  regained: [instance: Instance];
  /** Another process holds this id now. Nothing more is done; close this process or choose another id. */
  superseded: [];
}

export interface RegistrationParts {
  readonly call: <Body>(call: Call) => Promise<Answer<Body>>;
  readonly renewer: Renewer;
  readonly clock: Clock;
  readonly random: () => number;
  readonly session: string;
  /** Told of every revision that this registration has written. */
  readonly wrote: (revision: number) => void;
  /** Told once, when the registration is over. */
  readonly ended: (registration: Registration) => void;
}

const regainBounds = { firstMs: 200, maxMs: 10_000 };

export class Registration extends EventEmitter<RegistrationEvents> {
  readonly #parts: RegistrationParts;
  readonly #name: InstanceName;
  #declaration: DeclarationChange;
  #state: RegistrationState = "lost";
  #instance: Instance | undefined;
  readonly #lease: Lease;
  readonly #renewable: Renewable;
  /** The registration that is on its way, while there is one. Never rejects. */
  #registering: Promise<void> = Promise.resolve();
  #wasListed = false;
  readonly #stop = new AbortController();
  #closing: Promise<boolean> | undefined;

  /** Not for users: `Registry.register` makes and registers it. */
  constructor(parts: RegistrationParts, name: InstanceName, declaration: DeclarationChange) {
    super();
    this.#parts = parts;
    this.#name = name;
    this.#declaration = declaration;
    this.#lease = new Lease(parts.clock, () => this.#lost("lease_ended"));
    this.#renewable = {
      name,
      incarnation: () => this.incarnation,
      ttlMs: () => this.instance.ttlMs,
      renewed: (sentAt) => this.#renewed(sentAt),
      refused: (code) => (code === "superseded" ? this.#superseded() : this.#notRegistered()),
    };
  }

  get namespace(): string {
    return this.#name.namespace;
  }

  get service(): string {
    return this.#name.service;
  }

  get id(): string {
    return this.#name.id;
  }

  get state(): RegistrationState {
    return this.#state;
  }

  /** As the registry last showed it to this process. */
  get instance(): Instance {
    if (this.#instance === undefined) throw new RegistryError("closed", `${this.#text} was never registered`);
    return this.#instance;
  }

  get incarnation(): number {
    return this.instance.incarnation;
  }

  /** How long the registry is still bound to list this instance if no renewal reaches it any more, milliseconds. */
  leaseRemainingMs(): number {
    return this.#lease.remainingMs();
  }

  /** Not for users: the first registration. */
  async start(options: CallOptions): Promise<void> {
    const first = this.#register(options);
    this.#registering = first.catch(() => {});
    await first;
    if (this.#stop.signal.aborted) {
      throw new RegistryError("closed", `${this.#text} was closed while it was being registered`);
    }
  }

  /** Changes what is said about the instance, for example `{ status: "draining" }`. Resolves when the change is committed. */
  async update(change: DeclarationChange, options: CallOptions = {}): Promise<Instance> {
    if (this.#state === "superseded" || this.#closing !== undefined) {
      throw new RegistryError("closed", `${this.#text} is ${this.#state} and cannot be changed`);
    }
    const answer = await this.#parts.call<{ instance: Instance; revision: number }>({
      method: "PATCH",
      path: instancePath(this.#name),
      body: change,
      idempotencyKey: randomUUID(),
      ...options,
    });
    const { instance, revision } = answer.body;
    const hasNewTtl = instance.ttlMs !== this.instance.ttlMs;
    this.#declaration = { ...this.#declaration, ...withoutUndefined(change) };
    this.#instance = instance;
    this.#parts.wrote(revision);
    if (hasNewTtl && this.#state === "registered") {
      // What the present lease is worth is only known again after a renewal under the new TTL.
      this.#lease.dropped();
      this.#parts.renewer.add(this.#renewable, this.#parts.clock.now(), 0);
    }
    return instance;
  }

  /**
   * Deregisters, and stops renewing. Resolves with whether the registry confirmed that the instance is gone; it never rejects, because what the
   * registry did not hear, the end of the lease will tell it.
   */
  close(options: CallOptions = {}): Promise<boolean> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #text(): string {
    return `${this.#name.service}/${this.#name.id}`;
  }

  async #register(options: CallOptions): Promise<void> {
    const answer = await this.#parts.call<RegisterAnswer>({
      method: "PUT",
      path: instancePath(this.#name),
      body: { ...this.#declaration, session: this.#parts.session },
      // A new key each time: the session already makes this safe to repeat, and an old key would repeat an answer about a lease that may have
      // ended since.
      idempotencyKey: randomUUID(),
      ...options,
    });
    const { instance, renewAfterMs, revision } = answer.body;
    this.#instance = instance;
    this.#parts.wrote(revision);
    // The answer may be that to the first attempt, so the lease counts from there.
    this.#lease.granted(answer.firstSentAt, instance.ttlMs);
    if (this.#stop.signal.aborted) return;
    this.#parts.renewer.add(this.#renewable, answer.firstSentAt, renewAfterMs);
    this.#listed();
  }

  #renewed(sentAt: number): void {
    this.#lease.granted(sentAt, this.instance.ttlMs);
    this.#listed();
  }

  #listed(): void {
    if (this.#state === "registered") return;
    this.#state = "registered";
    const event = this.#wasListed ? "regained" : "registered";
    this.#wasListed = true;
    const instance = this.instance;
    queueMicrotask(() => this.emit(event, instance));
  }

  #lost(reason: "lease_ended" | "not_registered"): void {
    if (this.#state !== "registered") return;
    this.#state = "lost";
    queueMicrotask(() => this.emit("lost", reason));
  }

  #notRegistered(): void {
    this.#lease.dropped();
    this.#lost("not_registered");
    this.#registering = this.#regain();
  }

  async #regain(): Promise<void> {
    for (let failures = 1; !this.#stop.signal.aborted; failures += 1) {
      try {
        await this.#register({});
        return;
      } catch {
        const pauseMs = fullJitter(failures, regainBounds, this.#parts.random);
        await sleep(this.#parts.clock, pauseMs, this.#stop.signal).catch(() => {});
      }
    }
  }

  #superseded(): void {
    this.#state = "superseded";
    this.#lease.dropped();
    queueMicrotask(() => this.emit("superseded"));
    this.#parts.ended(this);
  }

  async #close(options: CallOptions): Promise<boolean> {
    this.#stop.abort();
    this.#parts.renewer.remove(this.#renewable);
    // A registration that is on its way would stand there without an owner, so its answer is waited for.
    await this.#registering;
    this.#lease.dropped();
    const isOurs = this.#state !== "superseded" && this.#instance !== undefined;
    this.#state = "closed";
    const isGone = isOurs ? await this.#deregister(this.incarnation, options) : true;
    this.#parts.ended(this);
    return isGone;
  }

  async #deregister(incarnation: number, options: CallOptions): Promise<boolean> {
    try {
      const answer = await this.#parts.call<{ revision: number }>({
        method: "DELETE",
        path: instancePath(this.#name),
        query: queryString({ incarnation }),
        idempotencyKey: randomUUID(),
        ...options,
      });
      this.#parts.wrote(answer.body.revision);
      return true;
    } catch (error) {
      // Gone already, or somebody else's by now: either way ours is not listed.
      return (
        error instanceof RegistryError && (error.code === "not_registered" || error.code === "superseded")
      );
    }
  }
}

function withoutUndefined(change: DeclarationChange): DeclarationChange {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
