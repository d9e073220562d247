/**
 * What Raft promises about several members together (paper Figure 3), checked at every step from outside. What one member can check by
 * itself is in src/raft/invariants.ts.
 */

import type { Effect } from "../../src/raft/io.ts";
import { checkInvariants } from "../../src/raft/invariants.ts";
import type { Message } from "../../src/raft/messages.ts";
import { hasQuorum } from "../../src/raft/quorum.ts";
import type { Entry, Index, NodeId, Term } from "../../src/raft/types.ts";
import { describeEntry } from "../support/raft-network.ts";
import type { RaftNetwork, TestMember } from "../support/raft-network.ts";

function check(condition: boolean, message: () => string): void {
  if (!condition) throw new Error(message());
}

export class ClusterChecker {
  /** `committed[i]` is the entry that some member called committed at index i + 1. */
  readonly committed: Entry[] = [];
  /** Terms in which somebody led. */
  readonly leaders = new Map<Term, NodeId>();
  /** Rare things that happened, to see that a test is not blind. */
  readonly marks = new Map<string, number>();
  readonly #network: RaftNetwork;
  readonly #votes = new Map<string, NodeId>();
  /** The commit index when a read was asked for: the least that its answer must cover. */
  readonly #readFloors = new Map<string, Index>();

  constructor(network: RaftNetwork) {
    this.#network = network;
  }

  mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }

  readAsked(member: NodeId, ctx: number): void {
    this.#readFloors.set(`${member} ${ctx}`, this.committed.length);
  }

  /** Called after every step of a member. */
  afterStep(member: TestMember): void {
    checkInvariants(member.core);
    this.#checkCommitted(member);
  }

  /** Called with every effect. */
  onEffect(member: TestMember, effect: Effect): void {
    if (effect.kind === "event") this.#event(member, effect.event);
    if (effect.kind === "apply") this.#applied(member, effect.entries);
    if (effect.kind === "readReady") this.#read(member, effect.ctx, effect.index);
    if (effect.kind === "fetchSnapshot") this.mark("snapshot fetched");
    if (effect.kind === "persist") this.#stamps(effect.entries);
  }

  #event(member: TestMember, event: Extract<Effect, { kind: "event" }>["event"]): void {
    this.mark(event.kind);
    if (event.kind === "roleChanged" && event.role === "leader") this.#elected(member, event.term);
    if (event.kind !== "messageIgnored") return;
    check(
      !/leads? this term|conflicts|decrease|contiguous|later term|do not have/.test(event.reason),
      () => `${member.id} ignored ${event.type}: ${event.reason}`,
    );
  }

  /** Election Safety; Leader Completeness. */
  #elected(member: TestMember, term: Term): void {
    const other = this.leaders.get(term);
    check(
      other === undefined || other === member.id,
      () => `${other} and ${member.id} both led term ${term}`,
    );
    this.leaders.set(term, member.id);
    for (const entry of this.committed) this.#checkHas(member, entry);
  }

  #checkHas({ id, core }: TestMember, entry: Entry): void {
    if (entry.index < core.status.firstIndex - 1) return;
    check(
      core.termAt(entry.index) === entry.term,
      () => `${id} leads without the committed ${describeEntry(entry)}`,
    );
  }

  /** Called with every message that leaves. A vote is given once per term, crashes or not; only rot can make a member forget one. */
  onSent(message: Message): void {
    if (message.type !== "voteReply" || !message.granted) return;
    const { losses } = this.#network.member(message.from);
    const key = `${message.from} in term ${message.term}${losses > 0 ? ` after loss ${losses}` : ""}`;
    const other = this.#votes.get(key);
    check(
      other === undefined || other === message.to,
      () => `${key} voted for ${other} and for ${message.to}`,
    );
    this.#votes.set(key, message.to);
  }

  /** A commit index may only pass over entries that everybody else commits, too; and the first to do so needs a quorum of disks. */
  #checkCommitted({ id, core }: TestMember): void {
    const { commitIndex, firstIndex } = core.status;
    for (let index = Math.max(this.committed.length + 1, firstIndex); index <= commitIndex; index += 1) {
      const entry = core.entryAt(index);
      if (entry === undefined) throw new Error(`${id} committed ${index}, which it does not have`);
      this.#checkOnQuorum(core.status.membership, entry);
      this.committed.push(entry);
    }
  }

  #checkOnQuorum(membership: Parameters<typeof hasQuorum>[0], entry: Entry): void {
    const holds = (id: NodeId): boolean => {
      const disk = this.#network.members.get(id)?.disk;
      if (disk === undefined) return false;
      // Acknowledged, then lost: the acknowledgement may have been under way. What it took since its return must not count.
      if (disk.recovering)
        return disk.lost.some(({ index, term }) => index === entry.index && term === entry.term);
      return (
        disk.base.last.index >= entry.index ||
        disk.entries[entry.index - disk.base.last.index - 1]?.term === entry.term
      );
    };
    check(
      hasQuorum(membership, holds),
      () => `${describeEntry(entry)} was committed without being durable on a quorum`,
    );
  }

  /** State Machine Safety. */
  #applied({ id }: TestMember, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const committed = this.committed[entry.index - 1];
      check(
        committed !== undefined && describeEntry(committed) === describeEntry(entry),
        () => `${id} applied ${describeEntry(entry)}`,
      );
    }
  }

  #read(member: TestMember, ctx: number, index: Index): void {
    const floor = this.#readFloors.get(`${member.id} ${ctx}`) ?? 0;
    check(
      index >= floor,
      () => `${member.id} may read at ${index}, but ${floor} was committed when it asked`,
    );
    this.mark(member.core.status.role === "leader" ? "leader read" : "follower read");
  }

  /** Cluster time never runs ahead of real time. */
  #stamps(entries: readonly Entry[]): void {
    for (const entry of entries) {
      check(
        entry.clusterTime <= this.#network.nowMs,
        () => `${describeEntry(entry)} is stamped ${entry.clusterTime} at ${this.#network.nowMs}`,
      );
    }
  }

  /** Log Matching: where two logs have the same entry, they are equal up to it. */
  checkLogs(): void {
    const members = [...this.#network.members.values()].filter((member) => member.isUp);
    for (const [i, a] of members.entries()) for (const b of members.slice(i + 1)) this.#checkPair(a, b);
  }

  #checkPair(a: TestMember, b: TestMember): void {
    const first = Math.max(a.core.status.firstIndex, b.core.status.firstIndex);
    let matches = false;
    for (let index = Math.min(a.core.status.lastIndex, b.core.status.lastIndex); index >= first; index -= 1) {
      const [ours, theirs] = [a.core.entryAt(index), b.core.entryAt(index)];
      if (ours === undefined || theirs === undefined) throw new Error(`a log has a hole at ${index}`);
      matches ||= ours.term === theirs.term;
      check(
        !matches || describeEntry(ours) === describeEntry(theirs),
        () => `${a.id} and ${b.id} match but differ at ${index}`,
      );
    }
  }
}
