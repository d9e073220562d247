/** All checkers of a run, and what each of them is told. */

import type { RaftEvent } from "../../../src/raft/io.ts";
import type { Message } from "../../../src/raft/messages.ts";
import type { Entry, EntryId, HardState, Index, Member, NodeId, Term } from "../../../src/raft/types.ts";
import type { RegistryEvent } from "../../../src/registry/commands.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";
import type { Endpoint } from "../world/network.ts";
import { AgreedState } from "./agreed-state.ts";
import { CommittedLog, type CommittedBy } from "./committed-log.ts";
import { ConfirmedRounds } from "./confirmed-rounds.ts";
import { DamageMarks } from "./damage.ts";
import { DurableLog } from "./durable-log.ts";
import { Elections } from "./elections.ts";
import { checkAcknowledgement } from "./acknowledgement.ts";
import { Leases, type LeaseClocks } from "./leases.ts";
import { LogMatching } from "./log-matching.ts";
import { MembershipSteps } from "./membership-steps.ts";
import { MonotoneMarks } from "./marks.ts";
import { checkMatches } from "./match.ts";
import { Outcomes } from "./outcomes.ts";
import { ReadFloors } from "./reads.ts";
import { checkRefusal } from "./refusals.ts";
import { checkStorageGate } from "./storage-gate.ts";
import { checkVoters } from "./voters.ts";

/** It costs a look at every peer. What a wrong belief leads to, an entry that is committed too early, is looked for after every change. */
const matchesEvery = 7;

/** A member and its disk: who comes back with another disk is somebody else. */
type MemberName = Pick<Member, "id" | "incarnation">;

/** What was durable at some time: a log, and where a received image ended. */
interface Holdings {
  readonly log: DurableLog;
  readonly imageIndex: Index;
}

export class Checkers {
  readonly committed: CommittedLog;
  readonly state: AgreedState;
  readonly outcomes: Outcomes;
  readonly reads: ReadFloors;
  readonly leases: Leases;
  readonly elections: Elections;
  readonly damage: DamageMarks;
  #changes = 0;
  readonly #marks: MonotoneMarks;
  readonly #matching: LogMatching;
  readonly #memberships: MembershipSteps;
  readonly #rounds: ConfirmedRounds;
  readonly #violate: Violate;
  readonly #nowMs: () => number;
  readonly #members = new Map<NodeId, SimMember>();
  /** What each member's present disk holds. */
  readonly #logs = new Map<NodeId, DurableLog>();
  /** What each member once held, by its id and incarnation, before its disk was damaged or replaced. */
  readonly #lost = new Map<string, Holdings[]>();

  constructor(options: {
    readonly violate: Violate;
    readonly nowMs: () => number;
    readonly clocks: LeaseClocks;
    readonly slowestRate: number;
    readonly delayMaxMs: () => number;
  }) {
    const { violate } = options;
    this.#violate = violate;
    this.#nowMs = options.nowMs;
    this.#rounds = new ConfirmedRounds(violate);
    this.state = new AgreedState(violate);
    this.outcomes = new Outcomes(violate);
    this.leases = new Leases(violate, options.clocks);
    this.committed = new CommittedLog({
      violate,
      hasHeld: (member, entry) => this.#hasHeld(member, entry),
      onCommitted: (entry, by) => this.#committed(entry, by),
    });
    this.elections = new Elections(violate, this.committed);
    this.reads = new ReadFloors({
      violate,
      committed: this.committed,
      rounds: this.#rounds,
      slowestRate: options.slowestRate,
      delayMaxMs: options.delayMaxMs,
    });
    this.damage = new DamageMarks(violate);
    this.#marks = new MonotoneMarks(violate);
    this.#matching = new LogMatching(violate);
    this.#memberships = new MembershipSteps(violate);
  }

  /** The member has a new, empty disk from now on. */
  newDisk(member: SimMember): void {
    this.#readDisk(member);
    this.#members.set(member.id, member);
  }

  /** What the member's disk holds may be gone from now on. It was there, all the same, when it was promised. */
  damaged(member: SimMember): void {
    const lost = this.#lostBy(member);
    lost.push({ log: this.logOf(member).copy(), imageIndex: member.installedIndex });
    this.#lost.set(nameOf(member), lost);
  }

  /** The log that the member's disk holds now. */
  logOf(member: SimMember): DurableLog {
    return this.#logs.get(member.id)!;
  }

  started(member: SimMember): void {
    // What was found damaged was set aside and written anew, perhaps under names that were there before.
    if (member.core?.view.node.recovery.isRecovering === true) this.#readDisk(member).update(true);
    const { hardState } = this.logOf(member);
    this.#voted(member, hardState);
    this.committed.started(member);
    this.#marks.started(member, hardState.term);
    this.#memberships.started(member);
    this.stepped(member);
  }

  stepped(member: SimMember): void {
    if (!this.#marks.look(member)) return;
    this.committed.look(member, this.#nowMs());
    this.#changes += 1;
    if (this.#changes % matchesEvery === 0)
      checkMatches(
        member,
        {
          hasHeld: (other, entry) => this.#hasHeld(other, entry),
          termOf: (other) => this.#termOf(other),
        },
        this.#violate,
      );
  }

  raftEvent(member: SimMember, event: RaftEvent): void {
    if (event.kind === "votedFor") this.elections.votes(member.id, event.last, event.candidate, event.term);
    if (event.kind !== "roleChanged") return;
    if (event.role === "leader") this.elections.becameLeader(member, event.term);
    // A turn may decide to campaign and then meet a leader.
    else if (event.role !== "follower" && event.role === member.core?.view.role.role)
      this.elections.campaigns(member, event.term);
  }

  sending(from: SimMember, message: Message): void {
    this.damage.sending(from, message);
    this.elections.sending(from, message);
    this.#rounds.sending(from, message, this.#nowMs());
    if (message.type === "appendReply" && message.accepted)
      checkAcknowledgement(from, message, this.elections.leaderOf(message.term), this.#violate);
    checkStorageGate(from.id, message, this.logOf(from), from.installedIndex, this.#violate);
  }

  arriving(at: SimMember, message: Message): void {
    this.#rounds.arriving(at, message, this.#nowMs());
  }

  refused(judge: Endpoint, other: Endpoint): void {
    checkRefusal(judge, other, this.committed.membershipEntry(), this.#violate);
  }

  durable(member: SimMember, withNames: boolean): void {
    this.logOf(member).update(withNames);
  }

  applied(member: SimMember, index: Index): void {
    this.stepped(member);
    this.state.applied(member, index);
    if (member.replica?.isLeader === true)
      this.leases.appliedByLeader(index, member.core!.view.node.log.lastClusterTime);
  }

  registryEvents(member: SimMember, events: readonly RegistryEvent[]): void {
    this.committed.look(member, this.#nowMs());
    this.state.told(member.id, events);
  }

  #readDisk(member: SimMember): DurableLog {
    const { id } = member;
    const log = new DurableLog(
      member.disk.files,
      (entry) => this.#matching.durable(id, entry),
      // What nobody runs on is no vote yet: its process died before it was told, and the next may find the log rotten and go on without.
      (hardState) => {
        if (member.core !== null) this.#voted(member, hardState);
      },
    );
    this.#logs.set(id, log);
    return log;
  }

  #voted({ id, incarnation }: SimMember, { term, vote }: HardState): void {
    this.elections.voted(id, incarnation, term, vote);
  }

  /** What another incarnation holds under this id is not its own. */
  #hasHeld(member: MemberName, entry: EntryId): boolean {
    const present = this.#presentOf(member);
    if (present !== null && (present.log.holds(entry) || present.imageIndex >= entry.index)) return true;
    return this.#lostBy(member).some(({ log, imageIndex }) => log.holds(entry) || imageIndex >= entry.index);
  }

  /** The latest term that was ever durable there. */
  #termOf(member: MemberName): Term {
    const present = this.#presentOf(member)?.log.hardState.term ?? 0;
    return Math.max(present, ...this.#lostBy(member).map(({ log }) => log.hardState.term));
  }

  /** A received image is durable before its member answers for it, and holds everything up to its last entry, which was committed. */
  #presentOf({ id, incarnation }: MemberName): Holdings | null {
    const member = this.#members.get(id);
    if (member?.incarnation !== incarnation) return null;
    return { log: this.logOf(member), imageIndex: member.installedIndex };
  }

  #lostBy(member: MemberName): Holdings[] {
    return this.#lost.get(nameOf(member)) ?? [];
  }

  #committed(entry: Entry, by: CommittedBy): void {
    const change = this.state.committed(entry);
    const { index, envelopes, results, events } = change;
    envelopes.forEach((envelope, i) => {
      const result = results[i]!;
      this.outcomes.committed(index, envelope, result);
      const { command } = envelope;
      if (command.kind === "renew" && result.ok && result.kind === "renew")
        command.handles.forEach(
          (handle, j) => (result.ttlsMs[j] ?? 0) > 0 && this.leases.renewed(handle, index),
        );
      if (result.ok && result.kind === "renewOne") this.leases.renewed(result.incarnation, index);
    });
    if (events.length > 0) this.leases.changed(events, index, this.#nowMs());
    if (entry.kind === "election" && entry.graceMs > 0) this.leases.held(entry.clusterTime);
    if (entry.kind === "membership") {
      checkVoters(entry.membership, (id) => this.#members.get(id), this.#violate);
      this.#memberships.committed(entry.membership);
    }
    const mayHaveExpired = envelopes.some(({ command }) => command.kind === "expire");
    const isNewTurn = entry.kind === "election" || mayHaveExpired;
    this.leases.checkOverdue(this.state, entry.clusterTime, isNewTurn, by);
  }
}

function nameOf({ id, incarnation }: MemberName): string {
  return `${id} ${incarnation}`;
}
