/** How long to wait before another try: a random share of a bound that doubles, so that clients who failed together do not return together. */

export interface BackoffBounds {
  /** Bound of the first wait, milliseconds. */
  readonly firstMs: number;
  /** The bound grows no further than this. */
  readonly maxMs: number;
}

/**
 * @param failures Failures so far, from 1.
 * @param random Returns 0 (inclusive) to 1 (exclusive).
 */
export function fullJitter(failures: number, bounds: BackoffBounds, random: () => number): number {
  // 2 ** 30 is far beyond any bound; more would only overflow.
  const bound = Math.min(bounds.maxMs, bounds.firstMs * 2 ** Math.min(failures - 1, 30));
  return random() * bound;
}
