/**
 * Time as the SDK sees it: monotonic milliseconds and timers, so that tests can turn the hands themselves.
 *
 * The wall clock is never read: it jumps, and leases must not.
 */

export type Cancel = () => void;

export interface Clock {
  /** Milliseconds from an arbitrary start, never decreasing. */
  now(): number;
  /** Runs it once, at least so many milliseconds from now. */
  after(ms: number, run: () => void): Cancel;
}

export const monotonicClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const due = performance.now() + ms;
    let timer: NodeJS.Timeout;
    // A timer of Node may fire a little early by the clock above, and a lease that ends must have ended.
    const arm = (): void => {
      const restMs = due - performance.now();
      if (restMs > 0) timer = setTimeout(arm, Math.ceil(restMs));
      else run();
    };
    timer = setTimeout(arm, Math.ceil(Math.max(0, ms)));
    return () => clearTimeout(timer);
  },
};

/** Rejects with `signal.reason` when that comes first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
