/**
 * Says when this process stood still: a pause of the machine, a long collection of garbage, or work that blocked the loop. Who reads of an
 * election nearby wants to know.
 */

import type { Logger } from "./logger.ts";

const probeMs = 250;
const stallMs = 1_000;

/** Returns how to stop. */
export function monitorStalls(logger: Logger): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const stoodStillMs = Math.round(now - last - probeMs);
    last = now;
    if (stoodStillMs >= stallMs) logger.warn({ stoodStillMs }, "this process stood still");
  }, probeMs);
  timer.unref();
  return () => clearInterval(timer);
}
