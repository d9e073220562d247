/**
 * What the owner of a lease may believe about it.
 *
 * The registry promises the full TTL from the moment when the last acknowledged renewal was *sent*, so that is where the owner counts from,
 * by its own monotonic clock. After that the registry may have removed the instance, and the owner says so rather than hope.
 */

import type { Cancel, Clock } from "./clock.ts";

export class Lease {
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #endsAt = Number.NEGATIVE_INFINITY;
  #cancel: Cancel = () => {};

  /** @param onEnd Called once for each grant that ran out without another. */
  constructor(clock: Clock, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  /** A grant never shortens the lease: answers may overtake each other. */
  granted(sentAt: number, ttlMs: number): void {
    const endsAt = sentAt + ttlMs;
    if (endsAt <= this.#endsAt) return;
    this.#endsAt = endsAt;
    this.#cancel();
    this.#cancel = this.#clock.after(Math.max(0, endsAt - this.#clock.now()), this.#onEnd);
  }

  /** The registry said that there is no such lease. */
  dropped(): void {
    this.#cancel();
    this.#endsAt = Number.NEGATIVE_INFINITY;
  }

  /** 0 when it has run out. */
  remainingMs(): number {
    return Math.max(0, this.#endsAt - this.#clock.now());
  }
}
