/** What a signal does to a member: the only place that handles them. */

import type { RootLogger } from "../observability/logger.ts";

interface Stoppable {
  stop(): Promise<void>;
}

/**
 * The first signal ends the member gracefully, within the time that was set for it; a second one at once. One that comes while the data
 * folder is still being read ends it as soon as it can be closed.
 */
export function stopOnSignals(starting: Promise<Stoppable>, shutdownMs: number, logger: RootLogger): void {
  let isAsked = false;
  const end = (signal: "SIGTERM" | "SIGINT", number: number): void => {
    if (isAsked) {
      logger.warn({ signal }, "asked to stop again: ending at once");
      logger.flush();
      process.exit(128 + number);
    }
    isAsked = true;
    logger.info({ signal }, "stopping");
    setTimeout(() => {
      logger.error({ withinMs: shutdownMs }, "did not stop in time: ending at once");
      logger.flush();
      process.exit(1);
    }, shutdownMs).unref();
    // A start that fails is told by whoever waits for it.
    void starting.then(
      (member) => member.stop(),
      () => {},
    );
  };
  process.on("SIGTERM", () => end("SIGTERM", 15));
  process.on("SIGINT", () => end("SIGINT", 2));
}
