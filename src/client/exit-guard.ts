/**
 * Lets the registrations of this process leave politely when it is told to end (SIGTERM, SIGINT), and then lets the process go on as it would
 * have without us.
 *
 * Node ends a process on these signals only while nobody listens to them. So when we were the only listener, the signal is sent again after we
 * have stopped listening; when the application listens too, ending is its business. An application that calls `process.exit` in its own
 * handler should await `registry.close()` first: exiting does not wait for anybody.
 */

import type { Clock } from "./clock.ts";

/** The part of `process` that is used here. */
export interface SignalSource {
  readonly pid: number;
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
  listenerCount(signal: NodeJS.Signals): number;
  kill(pid: number, signal: NodeJS.Signals): unknown;
}

const signals = ["SIGTERM", "SIGINT"] as const;
/** A process that is told to end must not wait long for a registry that does not answer. */
const leaveWithinMs = 3_000;

export class ExitGuard {
  readonly #source: SignalSource;
  readonly #clock: Clock;
  readonly #leavers = new Set<() => Promise<unknown>>();
  readonly #listeners = new Map<NodeJS.Signals, () => void>();
  #isLeaving = false;

  constructor(source: SignalSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** @param leave Called at most once, on the first signal. Must not reject. */
  add(leave: () => Promise<unknown>): void {
    this.#leavers.add(leave);
    if (this.#listeners.size > 0) return;
    for (const signal of signals) {
      const listener = (): void => void this.#leave(signal);
      this.#listeners.set(signal, listener);
      this.#source.on(signal, listener);
    }
  }

  remove(leave: () => Promise<unknown>): void {
    this.#leavers.delete(leave);
    if (this.#leavers.size === 0 && !this.#isLeaving) this.#stopListening();
  }

  async #leave(signal: NodeJS.Signals): Promise<void> {
    // Ctrl-C in a terminal often arrives twice: from the terminal, and from npm, which passes it on.
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    const wasAlone = this.#source.listenerCount(signal) === 1;
    const leavers = [...this.#leavers];
    this.#leavers.clear();
    const left = Promise.all(leavers.map((leave) => leave()));
    let cancel = (): void => {};
    const tooLong = new Promise<void>((resolve) => {
      cancel = this.#clock.after(leaveWithinMs, resolve);
    });
    await Promise.race([left, tooLong]);
    cancel();
    this.#isLeaving = false;
    this.#stopListening();
    if (wasAlone) this.#source.kill(this.#source.pid, signal);
  }

  #stopListening(): void {
    for (const [signal, listener] of this.#listeners) this.#source.off(signal, listener);
    this.#listeners.clear();
  }
}
