/** Requests that wait for one service to change (`afterRevision`). Woken by the change itself: no polling. */

export class ServiceWaiters {
  readonly #byService = new Map<string, Set<() => void>>();

  /** Calls `wake` at the next change of the service. Returns how to stop waiting. */
  add(service: string, wake: () => void): () => void {
    const waiting = this.#byService.get(service) ?? new Set();
    this.#byService.set(service, waiting);
    waiting.add(wake);
    return () => {
      waiting.delete(wake);
      if (waiting.size === 0 && this.#byService.get(service) === waiting) this.#byService.delete(service);
    };
  }

  wake(service: string): void {
    for (const wake of this.#byService.get(service) ?? []) wake();
  }

  wakeAll(): void {
    for (const service of this.#byService.keys()) this.wake(service);
  }
}
