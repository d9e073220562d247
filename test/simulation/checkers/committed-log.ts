/**
 * Invariant: what is committed once, anywhere, is committed for ever and everywhere alike, and was on the durable logs of a majority of
 * the voters (of both halves, while the membership is joint) at that moment.
 *
 * Keeps the one log that the cluster has agreed on, entry by entry, as the first member that commits it shows it.
 */

import type { Entry, EntryId, Index, Member, Membership, NodeId, Term } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

const checker = "committed log";

export type MembershipEntry = Entry & { readonly kind: "membership" };

/** The member that commits an entry first, at that moment: what the last entry in its log is stamped, and up to where it has applied. */
export interface CommittedBy {
  readonly stampedUpTo: number;
  readonly appliedIndex: Index;
}

export class CommittedLog {
  readonly #violate: Violate;
  /** Whether this incarnation has, or ever had before its disk was damaged, this entry in its durable log. */
  readonly #hasHeld: (member: Member, entry: EntryId) => boolean;
  readonly #onCommitted: (entry: Entry, by: CommittedBy) => void;
  /** `#entries[i]` has the index i + 1. */
  readonly #entries: Entry[] = [];
  /** True time at which each was first known to be committed. */
  readonly #timesMs: number[] = [];
  /** The term whose leader committed each, which may be later than its own. */
  readonly #committedIn: Term[] = [];
  /** Up to where each running process was compared. */
  readonly #seen = new Map<SimMember, Index>();
  /** What was in force on each after its last turn, and the index of its entry. */
  readonly #inForce = new Map<SimMember, { readonly membership: Membership; readonly index: Index }>();
  /** Who led after their last turn. */
  readonly #led = new Set<SimMember>();
  #checkedMajority: Index = 0;
  #membership: MembershipEntry | null = null;

  constructor(options: {
    readonly violate: Violate;
    readonly hasHeld: (member: Member, entry: EntryId) => boolean;
    readonly onCommitted: (entry: Entry, by: CommittedBy) => void;
  }) {
    this.#violate = options.violate;
    this.#hasHeld = options.hasHeld;
    this.#onCommitted = options.onCommitted;
  }

  get lastIndex(): Index {
    return this.#entries.length;
  }

  get last(): EntryId {
    return this.#entries.at(-1) ?? { term: 0, index: 0 };
  }

  entry(index: Index): Entry | undefined {
    return this.#entries[index - 1];
  }

  termAt(index: Index): Term {
    return this.#entries[index - 1]?.term ?? 0;
  }

  /** The term whose leader committed the entry at `index`; 0 while nobody has. */
  committedIn(index: Index): Term {
    return this.#committedIn[index - 1] ?? 0;
  }

  /** The last index that was committed at this true time. */
  indexAt(timeMs: number): Index {
    let low = 0;
    let high = this.#timesMs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#timesMs[middle]! <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The newest membership that is committed. */
  membership(): Membership | null {
    return this.#membership?.membership ?? null;
  }

  membershipEntry(): MembershipEntry | null {
    return this.#membership;
  }

  started(member: SimMember): void {
    this.#seen.delete(member);
    this.#led.delete(member);
    this.#inForce.delete(member);
  }

  /** Looks at what a member has come to call committed since the last time. */
  look(member: SimMember, nowMs: number): void {
    const core = member.core;
    if (core === null) return;
    const { log } = core.view.node;
    const seen = this.#seen.get(member) ?? 0;
    if (log.commitIndex === seen) return this.#noteTurn(member);
    if (log.commitIndex < seen)
      this.#violate(checker, `${member.id} took its commit index back from ${seen} to ${log.commitIndex}`);
    const from = Math.max(seen + 1, log.base.last.index);
    for (let index = Math.max(from, 1); index <= log.commitIndex; index += 1) {
      const term = log.termAt(index);
      if (index <= this.#entries.length) {
        const agreed = this.#entries[index - 1]!;
        if (agreed.term !== term)
          this.#violate(
            checker,
            `${member.id} committed ${index}@${term}, but ${index}@${agreed.term} was committed before`,
          );
        continue;
      }
      const entry = log.entryAt(index);
      if (entry === undefined || index !== this.#entries.length + 1) {
        this.#violate(checker, `${member.id} calls ${index} committed, which nobody has committed before`);
        break;
      }
      this.#checkLeaderCommits(member, index);
      this.#entries.push(entry);
      if (entry.kind === "membership") this.#membership = entry;
      this.#timesMs.push(nowMs);
      // What is committed at once ends with an entry of the leader's own term (paper §5.4.2).
      this.#committedIn.push(log.termAt(log.commitIndex) ?? 0);
      this.#onCommitted(entry, { stampedUpTo: log.lastClusterTime, appliedIndex: log.appliedIndex });
    }
    const newest = log.commitIndex === this.#entries.length ? this.last : null;
    if (newest !== null && this.#checkedMajority < newest.index)
      this.#checkMajority(member, newest, log.membership);
    this.#seen.set(member, log.commitIndex);
    this.#noteTurn(member);
  }

  #noteTurn(member: SimMember): void {
    const { node, role } = member.core!.view;
    if (role.role === "leader") this.#led.add(member);
    else this.#led.delete(member);
    const { membership, membershipIndex: index } = node.log;
    if (this.#inForce.get(member)?.membership !== membership)
      this.#inForce.set(member, { membership, index });
  }

  /** Whoever commits first leads, and goes no further than an entry of its own term (paper §5.4.2, Figure 8). */
  #checkLeaderCommits(member: SimMember, index: Index): void {
    const { node, role } = member.core!.view;
    // Whoever led when it was last looked at may have committed first and stepped down then, all in one turn.
    const mayHaveLed = role.role === "leader" || this.#led.has(member);
    if (!mayHaveLed && node.leader !== null)
      this.#violate(checker, `${member.id} follows, and committed ${index} before any leader did`);
    if (role.role === "leader" && node.log.termAt(node.log.commitIndex) !== node.term)
      this.#violate(
        checker,
        `${member.id} leads term ${node.term}, and committed up to ${node.log.commitIndex}@${node.log.termAt(node.log.commitIndex)} by counting`,
      );
  }

  /**
   * Log matching makes the newest entry speak for all before it. What was in force when it was committed is what is in force now, or
   * what was before this turn, since one turn may commit and then change the membership, or what was only in between.
   */
  #checkMajority(member: SimMember, entry: EntryId, membership: Membership): void {
    this.#checkedMajority = entry.index;
    // The founding entry is committed by definition.
    if (entry.index === 1 || this.#isHeldByMajority(entry, membership)) return;
    const before = this.#inForce.get(member)?.membership ?? membership;
    if (this.#isHeldByMajority(entry, before) || this.#isHeldOnceLeft(member, entry)) return;
    const held = membership.members.filter((member) => this.#hasHeld(member, entry)).map(({ id }) => id);
    this.#violate(
      checker,
      `${member.id} committed ${entry.index}@${entry.term}, which only [${held.join(", ")}] held durably; voters are [${membership.voters.join(", ")}], outgoing [${membership.outgoing.join(", ")}]`,
    );
  }

  /**
   * A leader that learns that a joint membership is committed goes on to the plain one at once (thesis §4.3), and commits by that one alone. It may
   * learn in the same turn that it is deposed, which takes the plain one from its log again; what it has committed stays so, since nobody
   * is elected without a majority of these voters.
   */
  #isHeldOnceLeft(member: SimMember, entry: EntryId): boolean {
    const joint = this.#inForce.get(member);
    if (joint === undefined || joint.membership.outgoing.length === 0 || !this.#led.has(member)) return false;
    const term = member.core!.view.node.log.termAt(joint.index);
    if (term === null || !this.#isHeldByMajority({ index: joint.index, term }, joint.membership))
      return false;
    return this.#isHeldByMajority(entry, { ...joint.membership, outgoing: [] });
  }

  #isHeldByMajority(entry: EntryId, { voters, outgoing, members }: Membership): boolean {
    const holds = (id: NodeId): boolean =>
      members.some((member) => member.id === id && this.#hasHeld(member, entry));
    return [voters, outgoing].every(
      (half) => half.length === 0 || half.filter(holds).length * 2 > half.length,
    );
  }
}
