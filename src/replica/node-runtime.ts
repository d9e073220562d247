/** Node's clocks and timers as the driver's ports. The simulator has its own. */

import type { Clock, Scheduler } from "./ports.ts";

export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/**
 * What a timer causes waits for one round of the loop, so that what has arrived meanwhile is read first: a process that was paused would
 * otherwise act on a silence that never was.
 */
export const nodeScheduler: Scheduler = {
  soon: (task) => {
    setImmediate(task);
  },
  after: (ms, task) => {
    let isCancelled = false;
    const run = (): void => {
      if (!isCancelled) task();
    };
    const timer = setTimeout(() => setImmediate(run), ms);
    return () => {
      isCancelled = true;
      clearTimeout(timer);
    };
  },
};

/** Calls every `ms`, after pending socket reads; a stall is followed by one call, not by all that were missed. Returns how to stop. */
export function every(ms: number, task: () => void): () => void {
  let cancel = (): void => {};
  const next = (): void => {
    cancel = nodeScheduler.after(ms, () => {
      next();
      task();
    });
  };
  next();
  return () => cancel();
}
