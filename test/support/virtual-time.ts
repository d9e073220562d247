/**
 * Time that passes only when told: an event heap ordered by (time, order of asking), for tests that run whole clusters in one process.
 */

import type { Clock, Scheduler } from "../../src/replica/ports.ts";

interface Task {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  /** A binary heap, earliest first. */
  readonly #heap: Task[] = [];
  /**
   * What is due at once, in order of asking: most of all tasks, and they need no heap. They are those from `#soonStart` on and before
   * `#soonEnd`; the places around them stay, or each few tasks would cost an array.
   */
  readonly #soon: (Task | undefined)[] = [];
  #soonStart = 0;
  #soonEnd = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Runs the task after `delayMs`; returns how to cancel it. */
  after(delayMs: number, run: () => void): () => void {
    let isCancelled = false;
    this.plan(delayMs, () => {
      if (!isCancelled) run();
    });
    return () => {
      isCancelled = true;
    };
  }

  /** As `after`, for what is never taken back. */
  plan(delayMs: number, run: () => void): void {
    const task = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    if (task.atMs === this.#nowMs) this.#soon[this.#soonEnd++] = task;
    else this.#push(task);
  }

  /** Runs the next task, moving time to it. False when nothing is planned. */
  step(): boolean {
    const task = this.#take();
    if (task === undefined) return false;
    this.#nowMs = task.atMs;
    task.run();
    return true;
  }

  /** Steps until the condition holds; throws when `limitMs` of virtual time pass first. */
  runUntil(isTrue: () => boolean, limitMs: number, what: string): void {
    const endMs = this.#nowMs + limitMs;
    while (!isTrue()) {
      const next = this.#next();
      if (next === undefined || next.atMs > endMs)
        throw new Error(`after ${limitMs} ms of virtual time still not: ${what}`);
      this.step();
    }
  }

  /** Lets `ms` of virtual time pass. */
  runFor(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) this.step();
    this.#nowMs = endMs;
  }

  #next(): Task | undefined {
    const soon = this.#soon[this.#soonStart];
    const later = this.#heap[0];
    return soon !== undefined && (later === undefined || isBefore(soon, later)) ? soon : later;
  }

  #take(): Task | undefined {
    const task = this.#next();
    if (task === undefined || task !== this.#soon[this.#soonStart]) return this.#pop();
    this.#soon[this.#soonStart++] = undefined;
    if (this.#soonStart === this.#soonEnd) this.#soonStart = this.#soonEnd = 0;
    return task;
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let position = heap.push(task) - 1;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!isBefore(task, heap[parent]!)) break;
      heap[position] = heap[parent]!;
      position = parent;
    }
    heap[position] = task;
  }

  #pop(): Task | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined) return undefined;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(task: Task): void {
    const heap = this.#heap;
    let position = 0;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, task)) break;
      heap[position] = heap[child]!;
      position = child;
    }
    heap[position] = task;
  }
}

function isBefore(one: Task, other: Task): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** One process's clock and loop. `end` makes everything that it has planned void, as the end of a process does. */
export class VirtualProcess implements Clock, Scheduler {
  readonly #time: VirtualTime;
  readonly #wallOriginMs: number;
  #hasEnded = false;
  /** How long a round of its loop takes: what happens meanwhile is seen at its end. 0 for a loop that is always free. */
  roundMs = 0;
  /** How much work the loop always finds before it comes to what was asked for `soon`. */
  soonMs = 0;

  constructor(time: VirtualTime, wallOriginMs = 1_700_000_000_000) {
    this.#time = time;
    this.#wallOriginMs = wallOriginMs;
  }

  monotonicMs(): number {
    return this.#time.nowMs;
  }

  wallMs(): number {
    return this.#wallOriginMs + Math.round(this.#time.nowMs);
  }

  soon(task: () => void): void {
    this.after(this.soonMs, task);
  }

  after(ms: number, task: () => void): () => void {
    const dueMs = this.#time.nowMs + ms;
    const seenMs = this.roundMs === 0 ? dueMs : Math.ceil(dueMs / this.roundMs) * this.roundMs;
    return this.#time.after(seenMs - this.#time.nowMs, () => {
      if (!this.#hasEnded) task();
    });
  }

  every(ms: number, task: () => void): void {
    this.after(ms, () => {
      task();
      this.every(ms, task);
    });
  }

  end(): void {
    this.#hasEnded = true;
  }
}
