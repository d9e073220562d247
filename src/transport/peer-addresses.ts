/**
 * Where a peer may be found: what the operator configured, and what the membership says. They differ when a member has moved; then they are
 * tried in turn, and the one that works is kept.
 */
export class PeerAddresses {
  #urls: readonly string[] = [];
  #position = 0;

  get current(): string | null {
    return this.#urls[this.#position] ?? null;
  }

  /** Returns whether anything changed. The first is tried first. */
  replace(urls: readonly string[]): boolean {
    const unique = [...new Set(urls)];
    if (JSON.stringify(unique) === JSON.stringify(this.#urls)) return false;
    const kept = unique.indexOf(this.current ?? "");
    this.#urls = unique;
    this.#position = Math.max(kept, 0);
    return true;
  }

  /** Nobody, or somebody else, answers at `url`: the next address is in force. */
  failed(url: string): void {
    if (url === this.current && this.#urls.length > 0)
      this.#position = (this.#position + 1) % this.#urls.length;
  }
}
