/**
 * The wait before another try: doubles from try to try up to a bound, is shortened at random so that members do not move in step, and is
 * cut short when the peer shows that it lives. However often that happens, two tries are at least the first bound apart.
 */

export interface BackoffBounds {
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
}

interface Wait {
  readonly timer: NodeJS.Timeout;
  readonly begunAt: number;
  readonly endsAt: number;
  readonly onEnd: () => void;
}

export class Backoff {
  readonly #bounds: BackoffBounds;
  #boundMs: number;
  #wait: Wait | null = null;

  constructor(bounds: BackoffBounds) {
    this.#bounds = bounds;
    this.#boundMs = bounds.backoffFirstMs;
  }

  get isWaiting(): boolean {
    return this.#wait !== null;
  }

  /** Calls `onEnd` once, after between a half and the whole of the present bound. Returns that wait, milliseconds. */
  wait(onEnd: () => void): number {
    const waitMs = this.#boundMs * (0.5 + Math.random() / 2);
    this.#boundMs = Math.min(this.#bounds.backoffMaxMs, this.#boundMs * 2);
    const now = performance.now();
    this.#arm({ begunAt: now, endsAt: now + waitMs, onEnd }, waitMs);
    return waitMs;
  }

  /** Ends the wait as soon as it has lasted for the first bound. */
  cutShort(): void {
    if (this.#wait === null) return;
    const { begunAt, endsAt, onEnd } = this.#wait;
    const soonest = begunAt + this.#bounds.backoffFirstMs;
    if (soonest < endsAt) this.#arm({ begunAt, endsAt: soonest, onEnd }, soonest - performance.now());
  }

  /** A try succeeded: the next wait begins with the first bound again. */
  reset(): void {
    this.#boundMs = this.#bounds.backoffFirstMs;
  }

  stop(): void {
    clearTimeout(this.#wait?.timer);
    this.#wait = null;
  }

  #arm(wait: Omit<Wait, "timer">, delayMs: number): void {
    clearTimeout(this.#wait?.timer);
    const end = (): void => {
      this.#wait = null;
      wait.onEnd();
    };
    this.#wait = { ...wait, timer: setTimeout(end, Math.max(0, delayMs)) };
  }
}
