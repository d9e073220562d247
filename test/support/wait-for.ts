/** Waits for conditions, never for a length of time: tests that run real processes have no other clock. */

import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** What is waited for, as it would end the sentence "did not happen within 10,000 ms: ...". */
  readonly what: string;
  readonly withinMs?: number;
  /** How often to look. */
  readonly everyMs?: number;
}

/** Thrown by an attempt: the condition can never hold any more. */
export class NeverError extends Error {}

/** The first result that is not null, undefined or false. An attempt that throws counts as "not yet", and is told if there is no other. */
export async function waitFor<T>(
  attempt: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  { what, withinMs = 60_000, everyMs = 20 }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    let lastError: unknown;
    try {
      const result = await attempt();
      if (result !== null && result !== undefined && result !== false) return result;
    } catch (error) {
      if (error instanceof NeverError) throw error;
      lastError = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`did not happen within ${withinMs} ms: ${what}`, { cause: lastError });
    }
    await sleep(everyMs);
  }
}
