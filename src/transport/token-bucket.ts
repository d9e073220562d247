/**
 * Lets bytes through at a steady rate, first come, first served. Whoever comes while the rate is used up waits; a piece that is larger than what is
 * left goes at once and is paid for by those behind it.
 */
export class TokenBucket {
  readonly #bytesPerSecond: number;
  readonly #now: () => number;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];
  /** Below zero: owed. Never above what a tenth of a second lets through. */
  #tokens: number;
  #filledAt: number;
  #timer: NodeJS.Timeout | null = null;

  constructor(bytesPerSecond: number, now: () => number = () => performance.now()) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#now = now;
    this.#tokens = bytesPerSecond / 10;
    this.#filledAt = now();
  }

  /** Calls `go`, at once or later. Dropped if the bucket is stopped before. */
  take(bytes: number, go: () => void): void {
    this.#waiting.push({ bytes, go });
    if (this.#timer === null) this.#serve();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting.length = 0;
  }

  #serve(): void {
    this.#timer = null;
    this.#fill();
    while (this.#tokens > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#tokens -= next.bytes;
      next.go();
    }
    // Whoever was let go may have asked again, and planned the next turn.
    if (this.#waiting.length === 0 || this.#timer !== null) return;
    const waitMs = (-this.#tokens / this.#bytesPerSecond) * 1000;
    this.#timer = setTimeout(() => this.#serve(), Math.max(1, Math.ceil(waitMs)));
  }

  #fill(): void {
    const now = this.#now();
    const gained = ((now - this.#filledAt) / 1000) * this.#bytesPerSecond;
    this.#tokens = Math.min(this.#bytesPerSecond / 10, this.#tokens + gained);
    this.#filledAt = now;
  }
}
