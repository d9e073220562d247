/**
 * Monotone: while a process lives, its term, commit index, applied index and revision never decrease; over restarts, nor does its term.
 * And what one core can check of itself holds after every step (`src/raft/invariants.ts`).
 */

import { checkInvariants } from "../../../src/raft/invariants.ts";
import type { Index, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

interface Marks {
  term: Term;
  commit: Index;
  applied: Index;
  revision: number;
  lastIndex: Index;
}

/** The scan of the whole log takes time in proportion to it, so it is done after so many changes. */
const scanEvery = 64;

export class MonotoneMarks {
  readonly #violate: Violate;
  /** By the member's number. */
  readonly #marks: (Marks | undefined)[] = [];
  #changes = 0;

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  /** A process began on a disk that holds this term. */
  started(member: SimMember, term: Term): void {
    this.#marks[member.number] = { term, commit: 0, applied: 0, revision: 0, lastIndex: 0 };
  }

  /** Returns whether anything has changed since the last look. */
  look(member: SimMember): boolean {
    const { replica, core } = member;
    const marks = this.#marks[member.number];
    if (replica === null || core === null || marks === undefined) return false;
    const { node } = core.view;
    const { term, log } = node;
    const { commitIndex, appliedIndex, lastIndex } = log;
    const { revision } = replica.registry;
    if (
      term === marks.term &&
      commitIndex === marks.commit &&
      appliedIndex === marks.applied &&
      revision === marks.revision &&
      lastIndex === marks.lastIndex
    )
      return false;
    if (term < marks.term) this.#fell(member, "term", marks.term, term);
    if (commitIndex < marks.commit) this.#fell(member, "commit index", marks.commit, commitIndex);
    if (appliedIndex < marks.applied) this.#fell(member, "applied index", marks.applied, appliedIndex);
    if (revision < marks.revision) this.#fell(member, "revision", marks.revision, revision);
    marks.term = term;
    marks.commit = commitIndex;
    marks.applied = appliedIndex;
    marks.revision = revision;
    marks.lastIndex = lastIndex;
    this.#changes += 1;
    if (this.#changes % scanEvery === 0) this.#scan(member);
    return true;
  }

  #scan(member: SimMember): void {
    try {
      checkInvariants(member.core!);
    } catch (error) {
      this.#violate("core invariants", `${member.id}: ${String(error)}`);
    }
  }

  #fell(member: SimMember, what: string, from: number, to: number): void {
    this.#violate("monotone", `the ${what} of ${member.id} fell from ${from} to ${to}`);
  }
}
