/**
 * One disk as a queue: operations take their time one after the other, may be slow, may hang, and may fail.
 *
 * What an operation does to the disk happens when it completes; that the process hears of it happens in the process, if that still lives.
 */

import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Random } from "../random.ts";
import type { SimProcess } from "./process.ts";

export type LaneFault = { readonly code: "ENOSPC" | "EIO"; readonly message: string };

/** What the disk is asked to do. Only what needs room is refused when the disk is full. */
export interface LaneOperation {
  readonly name: string;
  readonly meanMs: number;
  readonly needsRoom: boolean;
  /** Carries the operation out, or not, and tells the process. */
  readonly complete: (fault: LaneFault | null) => void;
}

export interface LaneHooks {
  /** An operation ended: an event of the run. */
  readonly completed: (name: string, fault: LaneFault | null) => void;
}

interface Asked {
  readonly process: SimProcess;
  readonly operation: LaneOperation;
  isOver: boolean;
}

export class Lane {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #hooks: LaneHooks;
  #busyUntilMs = 0;
  /** In order of the asking, which is the order of completion. */
  #unfinished: Asked[] = [];
  /** How many times as long as usual everything takes. */
  slowness = 1;
  isHung = false;
  isFull = false;
  /** The next operation fails for good. */
  failsNext = false;

  constructor(time: VirtualTime, random: Random, hooks: LaneHooks) {
    this.#time = time;
    this.#random = random;
    this.#hooks = hooks;
  }

  ask(process: SimProcess, operation: LaneOperation): void {
    const asked: Asked = { process, operation, isOver: false };
    this.#unfinished.push(asked);
    if (!this.isHung) this.#begin(asked);
  }

  /** The disk answers again. */
  release(): void {
    if (!this.isHung) return;
    this.isHung = false;
    for (const asked of this.#unfinished) this.#begin(asked);
  }

  losePower(): void {
    for (const asked of this.#unfinished) asked.isOver = true;
    this.#unfinished = [];
    this.#busyUntilMs = 0;
  }

  /** Works as it should from now on; what took too long is done at once. */
  heal(): void {
    this.slowness = 1;
    this.isFull = false;
    this.failsNext = false;
    this.isHung = false;
    this.#busyUntilMs = 0;
    for (const asked of this.#unfinished.slice()) this.#finish(asked);
  }

  #begin(asked: Asked): void {
    const takesMs = this.#random.exponential(asked.operation.meanMs) * this.slowness;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.nowMs) + takesMs;
    this.#time.plan(this.#busyUntilMs - this.#time.nowMs, () => {
      // Whatever hangs stays in the queue, and begins anew when the disk answers again.
      if (!this.isHung) this.#finish(asked);
    });
  }

  #finish(asked: Asked): void {
    if (asked.isOver) return;
    asked.isOver = true;
    this.#unfinished.splice(this.#unfinished.indexOf(asked), 1);
    this.#end(asked.process, asked.operation);
  }

  #end(process: SimProcess, operation: LaneOperation): void {
    const fault = this.#faultOf(operation);
    this.#hooks.completed(operation.name, fault);
    process.run(() => operation.complete(fault));
  }

  #faultOf(operation: LaneOperation): LaneFault | null {
    if (this.failsNext) {
      this.failsNext = false;
      return { code: "EIO", message: `${operation.name}: input/output error` };
    }
    if (this.isFull && operation.needsRoom)
      return { code: "ENOSPC", message: `${operation.name}: no space left on device` };
    return null;
  }
}
