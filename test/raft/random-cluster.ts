/**
 * A cluster in bad weather: messages are lost, repeated, delayed and reordered, disks are slow, processes die and forget what they had
 * not synced, disks rot, the membership changes. Everything, including how bad each fault is, follows from one seed.
 */

import type { MembershipChange } from "../../src/raft/io.ts";
import type { Message } from "../../src/raft/messages.ts";
import { hasQuorum } from "../../src/raft/quorum.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { seededRandom } from "../support/random.ts";
import { incarnationOf, RaftNetwork, text } from "../support/raft-network.ts";
import type { TestMember } from "../support/raft-network.ts";
import { ClusterChecker } from "./cluster-checker.ts";

/** How often each thing happens, as weights. Drawn anew for each seed, so that some seeds see only some faults (swarm testing). */
interface Weather {
  readonly tick: number;
  readonly deliver: number;
  readonly store: number;
  readonly propose: number;
  readonly read: number;
  readonly crash: number;
  readonly partition: number;
  readonly checkpoint: number;
  readonly change: number;
  readonly transfer: number;
  readonly streamLost: number;
  readonly rot: number;
}

export class RandomCluster {
  readonly network: RaftNetwork;
  readonly checker: ClusterChecker;
  readonly #random: () => number;
  readonly #weather: Weather;
  readonly #loss: number;
  readonly #duplication: number;
  readonly #reordering: number;
  /** Links that lose everything, as `from to`. */
  readonly #cut = new Set<string>();
  #ctx = 0;
  steps = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const rarely = (weight: number): number => (this.#random() < 0.5 ? 0 : this.#random() * weight);
    this.#weather = {
      tick: 10 + this.#random() * 40,
      deliver: 30 + this.#random() * 30,
      store: 5 + this.#random() * 25,
      propose: 2 + this.#random() * 8,
      read: rarely(4),
      crash: rarely(3),
      partition: rarely(2),
      checkpoint: rarely(2),
      change: rarely(1),
      transfer: rarely(0.5),
      streamLost: rarely(4),
      rot: rarely(0.3),
    };
    this.#loss = rarely(0.2);
    this.#duplication = rarely(0.2);
    this.#reordering = rarely(1);
    this.network = this.#newNetwork();
    this.checker = new ClusterChecker(this.network);
    this.network.bootstrap(this.#ids(1 + this.#below(5)));
  }

  #newNetwork(): RaftNetwork {
    const heartbeatTicks = 1 + this.#below(2);
    const network = new RaftNetwork({
      config: {
        heartbeatTicks,
        electionTicks: heartbeatTicks + 1 + this.#below(8),
        appendBytesMax: 40 + this.#below(400),
        inflightBytesMax: 1000,
        inflightMessagesMax: 1 + this.#below(6),
        applyEntriesMax: 1 + this.#below(10),
        applyBytesMax: 300,
        uncommittedBytesMax: 5000,
        promotionLagMax: 10,
        electionGraceMs: 200,
        electionGraceIntervalMs: 2000,
      },
      random: (id) => seededRandom(this.#below(2 ** 31) + id.length),
      onEffect: (member, effect) => this.checker.onEffect(member, effect),
      onSent: (message) => this.checker.onSent(message),
      afterStep: (member) => this.checker.afterStep(member),
    });
    network.leasesExist = this.#random() < 0.5;
    return network;
  }

  #ids(count: number): NodeId[] {
    return Array.from({ length: count }, (_, i) => `n${i + 1}`);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.#below(items.length)];
  }

  #members(isUp: boolean): TestMember[] {
    return [...this.network.members.values()].filter((member) => member.isUp === isUp);
  }

  // ------------------------------------------------------------------ bad weather

  run(steps: number): void {
    for (let i = 0; i < steps; i += 1) {
      this.#step();
      this.steps += 1;
      if (i % 50 === 0) this.checker.checkLogs();
    }
  }

  #step(): void {
    const weights = Object.entries(this.#weather) as [keyof Weather, number][];
    let left = this.#random() * weights.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [action, weight] of weights) {
      left -= weight;
      if (left < 0) return this.#act(action);
    }
  }

  #act(action: keyof Weather): void {
    const member = this.#pick(this.#members(true));
    if (member === undefined) return this.#restartOne();
    switch (action) {
      case "tick":
        return this.#tick(member);
      case "deliver":
        return this.#repeatedly(() => this.#deliverOne());
      case "store":
        return this.network.store(member.id, 1 + this.#below(4));
      case "propose":
        return this.#propose(this.#anyLeader() ?? member);
      case "read":
        return this.#read(member);
      case "crash":
        return this.#random() < 0.4 ? this.#crash(member) : this.#restartOne();
      case "partition":
        return this.#partition();
      case "checkpoint":
        return this.#checkpointOrInstall(member);
      case "change":
        return this.#change();
      case "transfer":
        return this.#transfer();
      case "streamLost":
        return this.#streamLost(member);
      case "rot":
        return this.#rot(member);
    }
  }

  #repeatedly(action: () => void): void {
    for (let i = this.#below(5); i >= 0; i -= 1) action();
  }

  /** Somebody who believes to lead, rightly or not. */
  #anyLeader(): TestMember | undefined {
    return this.#pick(this.#members(true).filter(({ core }) => core.status.role === "leader"));
  }

  /** Time passes for all, but this member is the one whose timer fires. */
  #tick(member: TestMember): void {
    this.network.nowMs += this.network.tickMs / this.#members(true).length;
    this.network.tick(member.id);
  }

  #deliverOne(): void {
    const { inFlight } = this.network;
    const position = this.#random() < this.#reordering ? this.#below(inFlight.length) : 0;
    const message = inFlight[position];
    if (message === undefined) return;
    if (this.#random() >= this.#duplication) inFlight.splice(position, 1);
    if (this.#random() < this.#loss || this.#isCut(message)) return;
    this.network.deliver(message);
  }

  #isCut(message: Message): boolean {
    return this.#cut.has(`${message.from} ${message.to}`);
  }

  #propose(member: TestMember): void {
    this.#ctx += 1;
    const payload = text(`put ${this.#ctx} ${"x".repeat(this.#below(50))}`);
    this.network.step(member.id, {
      kind: "propose",
      nowMs: this.network.nowMs,
      ctx: this.#ctx,
      payload,
      ifTerm: null,
    });
  }

  #read(member: TestMember): void {
    this.#ctx += 1;
    this.checker.readAsked(member.id, this.#ctx);
    this.network.step(member.id, {
      kind: "read",
      nowMs: this.network.nowMs,
      ctx: this.#ctx,
      id: `${member.id} ${this.#ctx}`,
    });
  }

  #crash(member: TestMember): void {
    this.network.crash(member.id, this.#below(member.writes.length + 1));
    this.checker.mark("crash");
  }

  #restartOne(): void {
    const member = this.#pick(this.#members(false));
    if (member !== undefined) this.network.restart(member.id);
  }

  /** Cuts a link, in one direction or both, or everything between a leader and the rest. */
  #partition(): void {
    if (this.#cut.size > 0 && this.#random() < 0.5) return this.#cut.clear();
    const ids = [...this.network.members.keys()];
    const leader = this.#anyLeader();
    if (leader !== undefined && this.#random() < 0.5) {
      for (const id of ids) this.#cutLink(leader.id, id);
    } else {
      this.#cutLink(this.#pick(ids), this.#pick(ids));
    }
  }

  #cutLink(from: NodeId | undefined, to: NodeId | undefined): void {
    this.#cut.add(`${from} ${to}`);
    if (this.#random() < 0.7) this.#cut.add(`${to} ${from}`);
  }

  #checkpointOrInstall(member: TestMember): void {
    if (member.fetching !== null) this.network.install(member.id);
    else this.network.checkpoint(member.id, this.#below(10));
  }

  #change(): void {
    const leader = this.#anyLeader();
    if (leader === undefined) return;
    const change = this.#drawChange(leader);
    if (change !== undefined)
      this.network.step(leader.id, { kind: "changeMembership", nowMs: this.network.nowMs, ctx: 0, change });
  }

  #drawChange({ core }: TestMember): MembershipChange | undefined {
    const { learners, members } = core.status.membership;
    const draw = this.#random();
    if (draw < 0.4 && this.network.members.size < 7) return this.#addition();
    const id = draw < 0.8 ? this.#pick(learners) : this.#pick(members)?.id;
    if (id === undefined) return undefined;
    return draw < 0.8 ? { kind: "promote", id } : { kind: "remove", id };
  }

  #addition(): MembershipChange {
    const id = `n${this.network.members.size + 1}`;
    this.network.add(id);
    return {
      kind: "addLearner",
      id,
      incarnation: incarnationOf(id),
      peerUrl: `peer://${id}`,
      clientUrl: `client://${id}`,
    };
  }

  #transfer(): void {
    const { leader } = this.network;
    if (leader !== undefined)
      this.network.step(leader.id, { kind: "transfer", nowMs: this.network.nowMs, to: null });
  }

  #streamLost(member: TestMember): void {
    const id = this.#pick([...this.network.members.keys()]);
    if (id !== undefined) this.network.step(member.id, { kind: "streamLost", nowMs: this.network.nowMs, id });
  }

  /** Rot never takes more than one memory at a time: what a quorum has lost, nobody can bring back. */
  #rot(member: TestMember): void {
    if ([...this.network.members.values()].some(({ disk }) => disk.recovering)) return;
    if (member.core.status.membership.voters.length < 3) return;
    this.network.crash(member.id);
    this.network.loseMemory(member.id, this.#below(20));
    this.checker.mark("rot");
  }

  // ------------------------------------------------------------------ good weather

  /**
   * Heals everything. Then a leader must emerge, and all members must come to hold and apply the same; and again when one has restarted,
   * although nobody tells the leader, and nothing is proposed since.
   */
  settle(): void {
    this.#cut.clear();
    for (const member of this.#members(false)) this.network.restart(member.id);
    if (!this.#settles()) return this.checker.mark("waits for the recovering");
    const follower = this.#pick(this.#members(true).filter((member) => member !== this.network.leader));
    if (follower === undefined) return;
    this.network.crash(follower.id);
    this.network.restart(follower.id);
    this.#settles();
  }

  /** Returns whether it does; not where it cannot. */
  #settles(): boolean {
    for (let round = 0; round < 2000; round += 1) {
      this.#round();
      if (round % 20 === 19 && this.#isSettled()) {
        this.checker.checkLogs();
        return true;
      }
    }
    if (this.#mustWait()) return false;
    const states = [...this.network.members.values()].map(({ core: { status } }) => {
      const { id, role, term, leader, commitIndex, lastIndex, recovering, removed } = status;
      return JSON.stringify({ id, role, term, leader, commitIndex, lastIndex, recovering, removed });
    });
    throw new Error(`the cluster did not settle:\n${states.join("\n")}`);
  }

  #round(): void {
    this.network.tickAll();
    for (let wave = 0; wave < 4; wave += 1) {
      for (const id of this.network.members.keys()) this.network.store(id);
      for (const member of this.network.members.values())
        if (member.fetching !== null) this.network.install(member.id);
      for (const message of this.network.takeInFlight()) this.network.deliver(message);
    }
  }

  /** Everyone whom the leader knows has applied all that the leader has, and nobody is left recovering or between memberships. */
  #isSettled(): boolean {
    const status = this.network.leader?.core.status;
    if (status === undefined || status.membership.outgoing.length > 0) return false;
    if (!this.#hasProposedSince(status.term)) return false;
    return status.membership.members.every(({ id }) => {
      const other = this.network.core(id).status;
      return other.leader === status.id && other.appliedIndex === status.lastIndex && !other.recovering;
    });
  }

  /** Too few voters remember their promises: then it is right that nothing happens. */
  #mustWait(): boolean {
    const remembers = (id: NodeId): boolean => !this.network.member(id).disk.recovering;
    return [...this.network.members.values()].some(
      ({ core }) => !hasQuorum(core.status.membership, remembers),
    );
  }

  /** Good weather must let writes through, too. */
  #hasProposedSince(term: number): boolean {
    const { leader } = this.network;
    if (leader === undefined) return false;
    if (this.#proposedIn === term) return true;
    this.#proposedIn = term;
    this.#propose(leader);
    return false;
  }

  #proposedIn = 0;
}
