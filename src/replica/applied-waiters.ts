/**
 * Waiting until something that only grows has reached a value: the applied index, or the revision. Level-triggered: who asks for a
 * value that is reached already is answered at once.
 */

interface Waiter {
  readonly value: number;
  readonly deadlineMs: number;
  readonly end: (reached: boolean) => void;
}

export class AppliedWaiters {
  #reached: number;
  #waiters: Waiter[] = [];

  constructor(reached: number) {
    this.#reached = reached;
  }

  get size(): number {
    return this.#waiters.length;
  }

  /** Calls `end` once: true when `value` is reached, false at the deadline. */
  wait(value: number, deadlineMs: number, end: (reached: boolean) => void): void {
    if (value <= this.#reached) end(true);
    else this.#waiters.push({ value, deadlineMs, end });
  }

  advance(reached: number): void {
    if (reached <= this.#reached) return;
    this.#reached = reached;
    if (this.#waiters.length > 0) this.#endWhere((waiter) => waiter.value <= reached, true);
  }

  expire(nowMs: number): void {
    if (this.#waiters.length > 0) this.#endWhere((waiter) => waiter.deadlineMs <= nowMs, false);
  }

  close(): void {
    this.#endWhere(() => true, false);
  }

  #endWhere(isOver: (waiter: Waiter) => boolean, reached: boolean): void {
    if (!this.#waiters.some(isOver)) return;
    const over = this.#waiters.filter(isOver);
    this.#waiters = this.#waiters.filter((waiter) => !isOver(waiter));
    for (const waiter of over) waiter.end(reached);
  }
}
