/**

 * Log matching: two logs that hold an entry of the same index and term hold the same entry there, and the same before it (paper §5.3).
 *
 * Checked on what becomes durable: each (index, term) has one content and one predecessor, in all logs and for ever.
 */

import type { Index, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { DurableEntry } from "./durable-log.ts";

export class LogMatching {
  readonly #violate: Violate;
  /** By index; mostly one entry each. */
  readonly #known: DurableEntry[][] = [];

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  durable(member: string, entry: DurableEntry): void {
    const atIndex = (this.#known[entry.index] ??= []);
    const same = atIndex.find((each) => each.term === entry.term);
    if (same === undefined) {
      atIndex.push(entry);
      return;
    }
    if (same.previousTerm !== entry.previousTerm)
      this.#differ(
        member,
        entry.index,
        entry.term,
        `follows term ${entry.previousTerm}, and elsewhere term ${same.previousTerm}`,
      );
    else if (Buffer.compare(same.body, entry.body) !== 0)
      this.#differ(member, entry.index, entry.term, "has another content than elsewhere");
  }

  #differ(member: string, index: Index, term: Term, how: string): void {
    this.#violate("log matching", `${index}@${term} in the log of ${member} ${how}`);
  }
}
