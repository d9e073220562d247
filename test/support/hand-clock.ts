/** A clock of the SDK that a test turns by hand. */

import type { Cancel, Clock } from "../../src/client/clock.ts";
import { VirtualTime } from "./virtual-time.ts";

export class HandClock implements Clock {
  readonly #time = new VirtualTime();

  now(): number {
    return this.#time.nowMs;
  }

  after(ms: number, run: () => void): Cancel {
    return this.#time.after(ms, run);
  }

  /** Runs what becomes due, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    await settle();
    let isOver = false;
    this.#time.after(ms, () => (isOver = true));
    while (!isOver) {
      this.#time.step();
      await settle();
    }
    // What that has planned for this very moment; a bounded number, because some retries wait no time at all.
    for (let i = 0; i < 5; i += 1) {
      this.#time.runFor(0);
      await settle();
    }
  }
}

/** Lets everything that waits for a promise only, and not for time or the network, go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
