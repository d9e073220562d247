// Waits for a condition by asking again and again: level-triggered, with a bound that only a broken program meets.

/** Rejects with what was waited for when `holds` has not become true within `timeoutMs`. */
export async function eventually(what: string, holds: () => boolean, timeoutMs = 60_000): Promise<void> {
  const startedAt = performance.now();
  while (!holds()) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
