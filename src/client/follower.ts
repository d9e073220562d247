/**
 * Keeps one service's instances up to date: by a watch, or by long polling where watches do not get through. What is known is never thrown away
 * because nobody answers; it grows old, and `ageMs` says how old.
 */

import { fullJitter } from "./backoff.ts";
import type { Answer, Call } from "./caller.ts";
import { sleep } from "./clock.ts";
import { RegistryError } from "./errors.ts";
import { InstanceSet } from "./instance-set.ts";
import { instancesPath, queryString } from "./paths.ts";
import type { Instance, ServiceList } from "./types.ts";
import { watch, type WatchParts } from "./watch.ts";

export interface FollowerParts extends WatchParts {
  readonly call: <Body>(call: Call) => Promise<Answer<Body>>;
  /** A member that may be further behind than this is left for another. */
  readonly maxStaleMs: number;
}

export interface FollowerListener {
  /** The instances are others than before, or it is the first list. */
  readonly changed: (instances: readonly Instance[]) => void;
  /** A member confirmed what is known. */
  readonly confirmed: () => void;
}

/** Where the newest confirmation came from. */
export type FollowerSource = "none" | "watch" | "poll";

/** A cluster without watches is asked for them again after this time: it may have been upgraded. */
const watchAgainAfterMs = 60_000;
const pollWaitMs = 10_000;
/** A service that changes without pause is read no more often than this. */
const pollPauseMs = 50;
const failureBounds = { firstMs: 100, maxMs: 5_000 };

export class Follower {
  readonly #parts: FollowerParts;
  readonly #namespace: string;
  readonly #service: string;
  readonly #listener: FollowerListener;
  readonly #set: InstanceSet;
  readonly #stop = new AbortController();
  #source: FollowerSource = "none";
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #watchAgainAt = Number.NEGATIVE_INFINITY;
  #lastError: unknown = null;

  constructor(
    parts: FollowerParts,
    which: { readonly namespace: string; readonly service: string },
    listener: FollowerListener,
  ) {
    this.#parts = parts;
    this.#namespace = which.namespace;
    this.#service = which.service;
    this.#listener = listener;
    this.#set = new InstanceSet(which.service);
  }

  get source(): FollowerSource {
    return this.#source;
  }

  get revision(): number {
    return this.#set.revision;
  }

  /** Upper bound of how old the picture is, milliseconds; infinite before the first. */
  get ageMs(): number {
    return this.#parts.clock.now() - this.#confirmedAt;
  }

  /** Why the picture is not being renewed; null while it is. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Runs until `close`. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted;) {
      const isWatching = this.#parts.clock.now() >= this.#watchAgainAt;
      try {
        await (isWatching ? this.#watch() : this.#poll());
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.#lastError = error;
        if (isWatching) {
          // Refused for good: poll for a while. Broken again and again: poll once, because a list may get through where a stream does not.
          const isRefused = error instanceof RegistryError && !error.retryable;
          this.#watchAgainAt = this.#parts.clock.now() + (isRefused ? watchAgainAfterMs : pollPauseMs);
          continue;
        }
        failures += 1;
        const pauseMs = fullJitter(failures, failureBounds, this.#parts.random);
        await sleep(this.#parts.clock, pauseMs, signal).catch(() => {});
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }

  async #watch(): Promise<void> {
    const query = {
      namespace: this.#namespace,
      services: [this.#service],
      afterRevision: this.#source === "none" ? undefined : this.#set.revision,
      signal: this.#stop.signal,
    };
    const parts = { ...this.#parts, failuresMax: 2 * this.#parts.members.count };
    for await (const event of watch(parts, query)) {
      const staleMs = event.type === "sync" ? (event.staleMs ?? 0) : 0;
      const hasChanged = this.#set.apply(event);
      this.#confirm("watch", staleMs, hasChanged);
    }
  }

  async #poll(): Promise<void> {
    const isFirst = this.#source === "none";
    // After a failure the list is asked for at once: a held-back answer would leave its age growing although the registry is back.
    const waitMs = isFirst || this.#lastError !== null ? 0 : Math.min(pollWaitMs, this.#parts.maxStaleMs / 2);
    const answer = await this.#parts.call<ServiceList>({
      method: "GET",
      path: instancesPath(this.#namespace, this.#service),
      query: queryString({
        status: "any",
        ...(waitMs === 0 ? {} : { afterRevision: this.#set.revision, waitMs: Math.floor(waitMs) }),
        // The first list may be old rather than missing: it is better than nobody to call, and its age is shown.
        ...(isFirst ? {} : { maxStaleMs: this.#parts.maxStaleMs }),
      }),
      waitMs,
      signal: this.#stop.signal,
    });
    // An older list from a member that is behind does not replace a newer one.
    const isOlder = answer.body.revision < this.#set.revision;
    const hasChanged = !isOlder && this.#set.replace(answer.body.instances, answer.body.revision);
    if (!isOlder || isFirst) this.#confirm("poll", answer.source.staleMs, hasChanged);
    await sleep(this.#parts.clock, pollPauseMs, this.#stop.signal);
  }

  #confirm(source: "watch" | "poll", staleMs: number, hasChanged: boolean): void {
    const isFirst = this.#source === "none";
    this.#source = source;
    this.#lastError = null;
    this.#confirmedAt = Math.max(this.#confirmedAt, this.#parts.clock.now() - staleMs);
    if (hasChanged || isFirst) this.#listener.changed(this.#set.all);
    this.#listener.confirmed();
  }
}
