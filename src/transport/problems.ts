/**
 * Tells an operator about peers that cannot be talked to: once when it begins and once when it changes or ends, not at each try.
 */

import type { Logger } from "../observability/logger.ts";

/** Beyond this many, the oldest is forgotten (and may be told again): strangers must not fill the memory. */
const problemsMax = 256;

export class Problems {
  readonly #logger: Logger;
  /** By peer and way, what is wrong now. */
  readonly #current = new Map<string, { readonly peer: string; readonly sentence: string }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** `way`: what was tried. The same sentence about the same peer is told once, whatever was tried. */
  report(peer: string, way: string, sentence: string): void {
    const key = `${peer} ${way}`;
    if (this.#current.get(key)?.sentence === sentence) return;
    const isKnown = this.of(peer).includes(sentence);
    this.#current.delete(key);
    this.#current.set(key, { peer, sentence });
    const oldest = this.#current.keys().next();
    if (this.#current.size > problemsMax && oldest.done !== true) this.#current.delete(oldest.value);
    if (!isKnown) this.#logger.warn({ peer, reason: sentence }, "cannot talk to a peer");
  }

  /** That way works. */
  clear(peer: string, way: string): void {
    this.#current.delete(`${peer} ${way}`);
  }

  forget(peer: string): void {
    for (const [key, problem] of this.#current) if (problem.peer === peer) this.#current.delete(key);
  }

  /** What is wrong with a peer now. */
  of(peer: string): readonly string[] {
    const sentences = [...this.#current.values()].filter((problem) => problem.peer === peer);
    return [...new Set(sentences.map((problem) => problem.sentence))];
  }
}
