// Times that were measured, and what is said of them.

export class Latencies {
  readonly #values: number[] = [];

  add(ms: number): void {
    this.#values.push(ms);
  }

  get count(): number {
    return this.#values.length;
  }

  /** `share` in [0, 1]. NaN when there are none. */
  percentile(share: number): number {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  }

  toString(): string {
    const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((share) => this.percentile(share).toFixed(1));
    return `p50 ${p50}  p90 ${p90}  p99 ${p99}  max ${max} ms`;
  }
}
