/**
 * One member's process: its clock, which may run fast, slow or jump, and its loop, which may stand still and may end.
 *
 * Whatever falls due while the process is stopped happens when it goes on, in the order in which it fell due: sockets and timers keep
 * what came meanwhile. What it had planned when it ends never happens.
 */

import type { Clock, Scheduler } from "../../../src/replica/ports.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";

const wallOriginMs = 1_700_000_000_000;

export class SimProcess implements Clock, Scheduler {
  readonly #time: VirtualTime;
  /** Milliseconds of this clock in one true millisecond. */
  readonly #rate: number;
  readonly #afterTask: () => void;
  readonly #onError: (error: unknown) => void;
  #offsetMs: number;
  #backlog: (() => void)[] = [];
  #isPaused = false;
  #hasEnded = false;
  #roundMs = 0;
  #isRoundPlanned = false;
  #isInRound = false;
  /** How much other work the loop finds before it comes to what was asked for `soon`. */
  soonMs = 0;

  constructor(options: {
    readonly time: VirtualTime;
    readonly rate: number;
    readonly originMs: number;
    /** Called after whatever this process did. */
    readonly afterTask: () => void;
    /** Called with what a task threw: in a real process it would end it. */
    readonly onError: (error: unknown) => void;
  }) {
    this.#time = options.time;
    this.#rate = options.rate;
    this.#offsetMs = options.originMs;
    this.#afterTask = options.afterTask;
    this.#onError = options.onError;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  monotonicMs(): number {
    return this.#offsetMs + this.#time.nowMs * this.#rate;
  }

  wallMs(): number {
    return wallOriginMs + Math.round(this.monotonicMs());
  }

  soon(task: () => void): void {
    this.#time.plan(this.soonMs, () => this.run(task));
  }

  after(ms: number, task: () => void): () => void {
    let isCancelled = false;
    const runUnlessCancelled = (): void => {
      if (!isCancelled) task();
    };
    this.#time.plan(ms / this.#rate, () => this.run(runUnlessCancelled));
    return () => {
      isCancelled = true;
    };
  }

  every(ms: number, task: () => void): void {
    const plan = (): void => this.#time.plan(ms / this.#rate, once);
    const repeat = (): void => {
      task();
      plan();
    };
    const once = (): void => this.run(repeat);
    plan();
  }

  /** Does something in this process now, or once it goes on. */
  run(task: () => void): void {
    if (this.#hasEnded) return;
    if (this.#isPaused) {
      this.#backlog.push(task);
      return;
    }
    if (this.#roundMs > 0 && !this.#isInRound) return this.#runInRound(task);
    try {
      task();
    } catch (error) {
      this.#onError(error);
    }
    this.#afterTask();
  }

  /** From now on a round of the loop takes so long, and whatever falls due meanwhile happens at its end; 0 for a loop that is free again. */
  slowDown(roundMs: number): void {
    this.#roundMs = roundMs;
    if (roundMs === 0 && !this.#isPaused) this.#runBacklog();
  }

  #runInRound(task: () => void): void {
    this.#backlog.push(task);
    if (this.#isRoundPlanned) return;
    this.#isRoundPlanned = true;
    this.#time.plan(this.#roundMs - (this.#time.nowMs % this.#roundMs), () => {
      this.#isRoundPlanned = false;
      if (!this.#isPaused) this.#runBacklog();
    });
  }

  #runBacklog(): void {
    const backlog = this.#backlog;
    this.#backlog = [];
    this.#isInRound = true;
    for (const task of backlog) this.run(task);
    this.#isInRound = false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#runBacklog();
  }

  /** The monotonic clock skips time, as after a machine slept. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  end(): void {
    this.#hasEnded = true;
    this.#backlog = [];
  }
}
