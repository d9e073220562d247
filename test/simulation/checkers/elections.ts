/**
 * Election safety: at most one leader in a term (paper §5.2).
 * Whoever leads was elected by a majority of the voters, each of whom gave one vote in that term, durably (paper §5.2).
 * A vote goes only to a log that is at least as up to date as the voter's (paper §5.4.1).
 * Only a voter leads, or asks to: of the membership that is in force, or of one that may still be (thesis §4.2.2: a leader may remove itself).
 * Leader completeness: a leader's log holds everything that was committed in earlier terms (paper §5.4.3). Not what a later leader has committed
 * meanwhile: who stood still may count the votes of an old election when another has long been won.
 */

import type { Message } from "../../../src/raft/messages.ts";
import type { EntryId, NodeId, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";
import type { CommittedLog } from "./committed-log.ts";

export class Elections {
  readonly #violate: Violate;
  readonly #committed: CommittedLog;
  readonly #leaders = new Map<Term, NodeId>();
  readonly #winners = new Map<Term, SimMember>();
  /** Where the log ended that a candidate showed, by its name and the term that it asked for. */
  readonly #lasts = new Map<string, EntryId>();
  /** By term: whom each member voted for, by the member's id and incarnation. */
  readonly #votes = new Map<Term, Map<string, NodeId>>();
  #latestAsked: Term = 0;
  #latestHandOver: Term = 0;

  constructor(violate: Violate, committed: CommittedLog) {
    this.#violate = violate;
    this.#committed = committed;
  }

  /** Whoever won this term's election; it may have ended since. */
  leaderOf(term: Term): SimMember | null {
    return this.#winners.get(term) ?? null;
  }

  get count(): number {
    return this.#leaders.size;
  }

  /** The latest term about which anybody has ever asked whether it could be elected, or should. */
  get latestAsked(): Term {
    return this.#latestAsked;
  }

  /** The latest term whose leader has ever told another to take over. */
  get latestHandOver(): Term {
    return this.#latestHandOver;
  }

  sending(from: SimMember, message: Message): void {
    if (message.type === "timeoutNow") this.#latestHandOver = Math.max(this.#latestHandOver, message.term);
    if (message.type !== "vote" && message.type !== "preVote") return;
    this.#latestAsked = Math.max(this.#latestAsked, message.term);
    this.#lasts.set(`${from.id} ${message.term}`, message.last);
  }

  /** A member whose log ends at `own` gives its vote. Judged as of that moment: its reply waits for the disk, and meanwhile its log may change. */
  votes(voter: NodeId, own: EntryId, candidate: NodeId, term: Term): void {
    const last = this.#lasts.get(`${candidate} ${term}`);
    if (last !== undefined && (last.term > own.term || (last.term === own.term && last.index >= own.index)))
      return;
    this.#violate(
      "election restriction",
      `${voter}, whose log ends at ${own.index}@${own.term}, voted in term ${term} for ${candidate}, whose log ends at ${last === undefined ? "nobody knows what" : `${last.index}@${last.term}`}`,
    );
  }

  /** A vote became durable. */
  voted(id: NodeId, incarnation: string, term: Term, vote: NodeId | null): void {
    if (vote === null) return;
    const votes = this.#votes.get(term) ?? new Map<string, NodeId>();
    this.#votes.set(term, votes);
    const voter = `${id} ${incarnation}`;
    const other = votes.get(voter);
    if (other !== undefined && other !== vote)
      this.#violate("election safety", `${id} voted for ${vote} in term ${term}, and for ${other} before`);
    votes.set(voter, vote);
  }

  /**
   * A member asks for votes in this term, or whether it may. Judged when it decides to, and not when its messages leave: those wait for its
   * disk, and the membership that made it a voter may have been cut off meanwhile.
   */
  campaigns(member: SimMember, term: Term): void {
    this.#checkVoter(member, term);
  }

  becameLeader(member: SimMember, term: Term): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== member.id)
      this.#violate("election safety", `${member.id} leads term ${term}, which ${other} led before`);
    this.#leaders.set(term, member.id);
    this.#winners.set(term, member);
    this.#checkVoter(member, term);
    this.#checkMajority(member, term);
    this.#checkCompleteness(member, term);
  }

  #checkVoter(member: SimMember, term: Term): void {
    const log = member.core?.view.node.log;
    if (log === undefined) return;
    const isVoter = [...log.memberships()].some(
      ({ voters, outgoing }) => voters.includes(member.id) || outgoing.includes(member.id),
    );
    if (!isVoter)
      this.#violate(
        "only voters lead",
        `${member.id} leads or campaigns in term ${term}, and no membership that it knows makes it a voter`,
      );
  }

  #checkMajority(member: SimMember, term: Term): void {
    const { voters, outgoing, members } = member.core!.view.node.log.membership;
    const votes = this.#votes.get(term);
    const electors = members.filter(
      ({ id, incarnation }) => votes?.get(`${id} ${incarnation}`) === member.id,
    );
    for (const half of [voters, outgoing]) {
      const yes = half.filter((id) => electors.some((elector) => elector.id === id));
      if (half.length > 0 && yes.length * 2 <= half.length)
        this.#violate(
          "election safety",
          `${member.id} leads term ${term} by the votes of [${yes.join(", ")}], of [${half.join(", ")}]`,
        );
    }
  }

  #checkCompleteness(member: SimMember, term: Term): void {
    const log = member.core?.view.node.log;
    if (log === undefined) return;
    for (let { index } = this.#committed.last; index >= log.firstIndex; index -= 1) {
      if (this.#committed.committedIn(index) >= term || log.termAt(index) === this.#committed.termAt(index))
        continue;
      const has = log.termAt(index);
      this.#violate(
        "leader completeness",
        `${member.id} leads term ${term} with ${has === null ? "nothing" : `${index}@${has}`} where ${index}@${this.#committed.termAt(index)} is committed`,
      );
      return;
    }
  }
}
