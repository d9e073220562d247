/**
 * A leader that a majority hears without a break goes on leading, whatever becomes of the others: a member that comes back, or that has lost
 * its link to the leader, disturbs nobody (DESIGN.md section 2, decisions 3 and 7; thesis §4.2.3 and §9.6).
 *
 * The claim ends where the leader's own followers stop hearing it, be it for a moment, or where it hands over or steps down by itself: from
 * then on an election is in order. And it is not made where somebody has asked for votes in a later term before, or was told to: answers to
 * that may still be under way.
 */

import type { Membership, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";
import type { Elections } from "./elections.ts";

const checker = "undisturbed leader";

export class Undisturbed {
  readonly #leader: SimMember;
  /** Who hear the leader: with it a majority of the voters. */
  readonly #listeners: readonly SimMember[];
  readonly #elections: Elections;
  readonly #violate: Violate;
  readonly #term: Term;
  readonly #membership: Membership | undefined;
  #isOver = false;

  /** `others`: the voters that may lose touch. All are well and follow the leader now. */
  constructor(options: {
    readonly leader: SimMember;
    readonly listeners: readonly SimMember[];
    readonly others: readonly SimMember[];
    readonly elections: Elections;
    readonly violate: Violate;
  }) {
    this.#leader = options.leader;
    this.#listeners = options.listeners;
    this.#elections = options.elections;
    this.#violate = options.violate;
    this.#term = options.leader.core?.term ?? 0;
    this.#membership = options.leader.core?.membership;
    const voters = [...options.listeners, ...options.others];
    const agree = voters.every((voter) => goesBy(voter) === goesBy(options.leader));
    this.#isOver = !agree || options.elections.latestAsked > this.#term;
  }

  /** To be called after whatever any member did. Returns whether there is nothing left to look at. */
  look(): boolean {
    if (this.#isOver) return true;
    const deposed = [this.#leader, ...this.#listeners].find(({ core }) => (core?.term ?? 0) > this.#term);
    this.#isOver = deposed !== undefined || !this.#isHeardByAll;
    if (deposed !== undefined && this.#elections.latestHandOver < this.#term)
      this.#violate(
        checker,
        `${this.#leader.id} led term ${this.#term} and was heard by [${this.#listeners.map(({ id }) => id).join(", ")}] all the time, and ${deposed.id} is in term ${deposed.core?.term}`,
      );
    return this.#isOver;
  }

  get #isHeardByAll(): boolean {
    const { core } = this.#leader;
    return (
      core?.view.role.role === "leader" &&
      core.membership === this.#membership &&
      this.#elections.latestHandOver < this.#term &&
      this.#listeners.every((listener) => this.#isHeardBy(listener))
    );
  }

  /** Whose loop is late may hear it, lose it and vote, all in one turn. */
  #isHeardBy({ core, process }: SimMember): boolean {
    return core?.leader === this.#leader.id && core.view.node.hearsLeader && process?.soonMs === 0;
  }
}

/** Not by the term of its entry, which nobody knows any more once that is compacted. */
function goesBy({ core }: SimMember): string {
  return JSON.stringify([core?.membershipId.index, core?.membership]);
}
