/**
 * One run: a cluster of members that run the production code over a simulated world, clients that use it, a nemesis that breaks it, and
 * checkers that watch. First anything goes wrong (safety), then the world is healed and the cluster has to work again (liveness).
 */

import type { Message } from "../../src/raft/messages.ts";
import type { Membership, NodeId } from "../../src/raft/types.ts";
import type { Disk } from "../../src/storage/disk.ts";
import { readFloor } from "../../src/storage/floor.ts";
import { membershipOf } from "../support/virtual-cluster.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { Checkers } from "./checkers/checkers.ts";
import { Client, patienceMs } from "./clients/client.ts";
import { Gateway } from "./clients/gateway.ts";
import { History } from "./clients/history.ts";
import { Watcher } from "./clients/watcher.ts";
import { Workload } from "./clients/workload.ts";
import { checkLiveness, type LivenessWorld } from "./liveness.ts";
import { Ambushes } from "./nemesis/ambushes.ts";
import { brokenLink } from "./nemesis/broken-link.ts";
import { lateAcknowledgement } from "./nemesis/late-acknowledgement.ts";
import { lateWinner } from "./nemesis/late-winner.ts";
import { FaultAtlas } from "./nemesis/atlas.ts";
import { Nemesis, type NemesisWorld } from "./nemesis/nemesis.ts";
import { Operator } from "./nemesis/operator.ts";
import { overtakenImage } from "./nemesis/overtaken-image.ts";
import { Relocations } from "./nemesis/relocations.ts";
import { returningMember } from "./nemesis/returning-member.ts";
import { hungDisk } from "./nemesis/hung-disk.ts";
import { slowLoop } from "./nemesis/slow-loop.ts";
import { StagedAmbushes, type Script, type Stage } from "./nemesis/staged.ts";
import { electionMs, type SimulationOptions, type StagedAmbush } from "./options.ts";
import { Random } from "./random.ts";
import type { Marks } from "./rare-marks.ts";
import { Trace, type TraceSink } from "./trace.ts";
import type { Violate, Violation } from "./violation.ts";
import { addressesAsFounded } from "./world/addresses.ts";
import { Installations } from "./world/installations.ts";
import { SimMember, type MemberHooks } from "./world/member.ts";
import { SimNetwork } from "./world/network.ts";
import type { SimProcess } from "./world/process.ts";

export interface RunResult {
  readonly seed: number;
  readonly violation: Violation | null;
  readonly events: number;
  readonly faults: number;
  readonly elections: number;
  /** Whether the liveness phase found a majority of whole members. */
  readonly hadMajority: boolean;
  readonly entries: number;
  readonly virtualMs: number;
  readonly traceHash: string;
  /** How often each rare thing happened: a simulator that never gets there proves nothing about it. */
  readonly marks: Marks;
}

/** However little happens, the safety phase ends after so many shortest election timeouts of virtual time. */
const safetyTimeoutsMax = 5000;

/** Steps without any time passing, before it is clear that none will. */
const spinMax = 100_000;

const scripts: Record<StagedAmbush, (stage: Stage) => Script> = {
  lateAcknowledgement,
  overtakenImage,
  slowLoop,
  hungDisk,
  returningMember,
  brokenLink,
  lateWinner,
};

export class Simulation implements NemesisWorld {
  readonly options: SimulationOptions;
  readonly time = new VirtualTime();
  readonly network: SimNetwork;
  readonly checkers: Checkers;
  readonly atlas = new FaultAtlas();
  readonly operator: Operator;
  readonly relocations: Relocations;
  readonly trace: Trace;
  readonly unitMs: number;
  readonly #random: Random;
  readonly #members: SimMember[] = [];
  readonly #byId = new Map<NodeId, SimMember>();
  readonly #gateway: Gateway;
  readonly #history = new History();
  readonly #clients: Client[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #nemesis: Nemesis;
  readonly #ambushes: Ambushes;
  readonly #installations = new Installations();
  readonly #staged: StagedAmbushes;
  readonly #partial: LivenessWorld["partial"];
  #violation: Violation | null = null;
  readonly #marks = new Map<string, number>();
  #faults = 0;
  #clockJumpsMs = 0;
  #delayMaxMs = 0;
  #pauseMaxMs = 0;
  #askedUntilMs = 0;
  #incarnations = 0;
  #stepsWithoutTime = 0;
  #hadMajority = false;

  constructor(options: SimulationOptions, sink: TraceSink | null = null) {
    this.options = options;
    this.unitMs = electionMs(options.settings);
    this.trace = new Trace(sink);
    const random = new Random(options.seed ^ 0x5eed);
    const rare = new Random(options.seed ^ 0xa3b50);
    this.#random = random.fork();
    this.network = new SimNetwork({
      time: this.time,
      random: random.fork(),
      stragglers: rare.fork(),
      network: options.network,
      hooks: {
        sending: (from, message) => this.checkers.sending(this.#byId.get(from.id)!, message),
        arrived: (what, from, to, message, delayMs) => this.#arrived(what, from, to, message, delayMs),
        refused: (judge, other) => this.checkers.refused(judge, other),
        imageReceived: (to, from) => {
          this.#installations.received(this.#byId.get(to)!);
          this.#ambushes.imageReceived(this.#byId.get(to)!, this.#byId.get(from)!);
        },
      },
    });
    this.checkers = this.#makeCheckers();
    this.#gateway = new Gateway({
      time: this.time,
      random: random.fork(),
      latencyMs: options.network.latencyMs,
      hooks: { called: (who, what, member) => this.trace.event(this.time.nowMs, what, member, who) },
    });
    this.operator = new Operator({
      time: this.time,
      random: random.fork(),
      gateway: this.#gateway,
      members: () => this.#members,
      membership: () => this.checkers.committed.membership(),
      pauseMs: this.unitMs,
    });
    this.relocations = new Relocations({
      world: this,
      random: new Random(options.seed ^ 0xadd7e55),
      unitMs: this.unitMs,
    });
    const membersRandom = random.fork();
    for (let n = 1; n <= options.members; n += 1) this.#addMember(`n${n}`, membersRandom);
    const clientsRandom = random.fork();
    const workload = new Workload(options);
    for (let n = 1; n <= options.clients; n += 1) this.#addClient(`c${n}`, clientsRandom.fork(), workload);
    for (let n = 1; n <= options.watchers; n += 1) this.#addWatcher(`w${n}`, clientsRandom.fork());
    this.#nemesis = new Nemesis({
      world: this,
      random: random.fork(),
      weights: options.faults,
      everyMs: options.faultEveryMs,
      unitMs: this.unitMs,
    });
    this.#ambushes = new Ambushes({
      world: this,
      random: rare.fork(),
      options: options.ambushes,
      unitMs: this.unitMs,
    });
    const shape = options.settlesUnder;
    this.#partial = shape === null ? null : { shape, random: rare.fork() };
    this.#staged = new StagedAmbushes({
      world: this,
      random: rare.fork(),
      scripts: options.ambushes.staged.map((name) => scripts[name]),
      unitMs: this.unitMs,
    });
  }

  run(): RunResult {
    this.#found();
    for (const member of this.#members) member.start();
    for (const client of this.#clients) client.start();
    for (const watcher of this.#watchers) watcher.start();
    this.#nemesis.start();
    this.#staged.start();
    this.#breakThings();
    if (this.#violation === null) this.#recover();
    return this.#result();
  }

  /** The safety phase. On its own, or the compiled loop would be thrown away with each seed, for what comes after it. */
  #breakThings(): void {
    const endMs = this.time.nowMs + safetyTimeoutsMax * this.unitMs;
    while (this.#violation === null && this.trace.events < this.options.eventsMax && this.time.nowMs < endMs)
      this.#step();
  }

  /** Whoever does so much without any time passing will never stop. */
  #step(): void {
    const beforeMs = this.time.nowMs;
    this.time.step();
    this.#stepsWithoutTime = this.time.nowMs === beforeMs ? this.#stepsWithoutTime + 1 : 0;
    if (this.#stepsWithoutTime > spinMax) this.#violate("spin", `${spinMax} steps without any time passing`);
  }

  #recover(): void {
    this.#nemesis.stop();
    this.#ambushes.stop();
    this.#staged.stop();
    this.relocations.stop();
    this.operator.stop();
    for (const client of this.#clients) client.stop();
    for (const watcher of this.#watchers) watcher.stop();
    this.trace.note(this.time.nowMs, "! calm", null);
    this.network.calm();
    for (const { lane, imageLane, process } of this.#members) {
      lane.heal();
      imageLane.heal();
      process?.resume();
    }
    for (const member of this.#members) if (member.isStopping) this.crash(member, false);
    const { raft } = this.options.settings;
    this.#hadMajority = checkLiveness({
      time: this.time,
      random: this.#random,
      atlas: this.atlas,
      checkers: this.checkers,
      violate: (checker, message) => this.#violate(checker, message),
      timeoutMs: (2 * this.unitMs) / (1 - this.options.clockDrift),
      operatorMs: (6 * this.unitMs) / (1 - this.options.clockDrift),
      expiryMs: 12_000 / (1 - this.options.clockDrift),
      leaderChangeMs: (raft.electionGraceMs + raft.clockEntryIntervalMs) / (1 - this.options.clockDrift),
      entryMs:
        6 * (this.options.network.latencyMs + this.options.network.jitterMs) + 12 * this.options.disk.syncMs,
      answerMs: Math.max(patienceMs(this.options.callTimeoutMs), this.#askedUntilMs - this.time.nowMs),
      watchers: this.#watchers,
      history: this.#history,
      links: this.network.links,
      partial: this.#partial,
      strandsCandidate: this.options.ambushes.strandsCandidate,
      paused: (ms) => this.paused(ms),
      move: this.options.faults.readdress > 0 ? (member) => this.relocations.move(member) : null,
      members: () => this.#members,
      memberships: () => this.memberships(),
      crash: (member) => this.crash(member, true),
      start: (member) => this.start(member),
      rotten: () => this.#members.filter(({ id }) => this.atlas.isRotten(id)),
      events: () => this.trace.events,
      isAnswerAwaited: () => this.#isAnswerAwaited(),
      step: () => this.#step(),
      isOver: () => this.#violation !== null,
      note: (what) => {
        this.#mark(what);
        this.trace.note(this.time.nowMs, `! ${what}`, null);
      },
    });
  }

  /**
   * Whether a client or an ambush still waits for an answer. An ambush does until its time is over, even where its member has ended: as long
   * as the answer of a leader that is lost can be waited for, its write takes a place at a member that forwards, which may have a single one.
   */
  #isAnswerAwaited(): boolean {
    return this.time.nowMs < this.#askedUntilMs || this.#clients.some(({ isIdle }) => !isIdle);
  }

  #result(): RunResult {
    return {
      seed: this.options.seed,
      violation: this.#violation,
      events: this.trace.events,
      faults: this.#faults,
      elections: this.checkers.elections.count,
      hadMajority: this.#hadMajority,
      entries: this.checkers.committed.lastIndex,
      virtualMs: this.time.nowMs,
      traceHash: this.trace.hash,
      marks: this.#marks,
    };
  }

  // ------------------------------------------------------------------ what the nemesis can do

  members(): readonly SimMember[] {
    return this.#members;
  }

  membership(): Membership {
    // The founding entry is committed by definition, before anybody has said so: its voters are those whose disks must not all be wiped.
    return this.checkers.committed.membership() ?? this.#founders();
  }

  memberships(): readonly Membership[] {
    const memberships = [this.membership()];
    for (const { core } of this.#members)
      if (core !== null) memberships.push(...core.view.node.log.memberships());
    return memberships.filter(({ voters }) => voters.length > 0);
  }

  crash(member: SimMember, withPower: boolean): void {
    this.checkers.damage.ending(member);
    if (this.#installations.crashing(member)) this.#mark("crashedWhileInstalling");
    member.crash(withPower);
    this.#gateway.breakAll(member);
  }

  start(member: SimMember): void {
    member.start();
  }

  replaceDisk(member: SimMember): string {
    this.#incarnations += 1;
    this.checkers.damaged(member);
    this.checkers.damage.healed(member.id);
    member.wipe(`${member.id}-${1 + this.#incarnations}`);
    this.#gateway.breakAll(member);
    this.checkers.newDisk(member);
    member.start();
    return member.incarnation;
  }

  rotImage(member: SimMember): void {
    this.checkers.damaged(member);
    this.checkers.damage.rotted(member.id, "image");
    member.stores.rot(this.#random);
  }

  /** The last group can be told from a torn one only if the floor names it. */
  rotLog(member: SimMember): boolean {
    this.checkers.damaged(member);
    const last = this.checkers.logOf(member).lastGroup;
    if (last === null) return false;
    const { files } = member.disk;
    const floor = readFloor({ read: (path) => files.findDurable(path)?.durable ?? null } as Disk).floor;
    const end = floor !== null && floor.group >= last.number ? last.end : last.start;
    const candidates = files
      .listDurable("wal")
      .map((name) => `wal/${name}`)
      .filter((path) => path < last.path || (path === last.path && end > 0));
    if (candidates.length === 0) return false;
    const path = this.#random.pick(candidates);
    const inode = files.findDurable(path)!;
    this.checkers.damage.rotted(member.id, "log");
    // Half of the time where it is most easily missed.
    const from = path === last.path && end === last.end && this.#random.chance(0.5) ? last.start : 0;
    const to = path === last.path ? end : inode.durable.length;
    inode.flipBit(this.#random.integer(from, to - 1), this.#random.below(8));
    return true;
  }

  jumpClock(member: SimMember, ms: number): void {
    this.#clockJumpsMs += Math.min(ms, this.options.settings.raft.clockStepMaxMs);
    member.process?.jump(ms);
  }

  readonly violate: Violate = (checker, message) => this.#violate(checker, message);

  get isAmbushed(): boolean {
    return this.#staged.isUnderWay;
  }

  paused(ms: number): void {
    this.#pauseMaxMs = Math.max(this.#pauseMaxMs, ms);
  }

  asked(timeoutMs: number): void {
    const endMs = this.time.nowMs + timeoutMs / (1 - this.options.clockDrift);
    this.#askedUntilMs = Math.max(this.#askedUntilMs, endMs);
  }

  replacing(member: SimMember): void {
    this.#ambushes.replacing(member);
  }

  replaced(member: SimMember): void {
    this.#ambushes.replaced(member);
  }

  faulted(kind: string, id: NodeId | null): void {
    this.#faults += 1;
    this.#mark(kind);
    this.trace.note(this.time.nowMs, `! ${kind}`, id === null ? null : this.#byId.get(id)!);
  }

  // ------------------------------------------------------------------ building

  #makeCheckers(): Checkers {
    const { clockDrift, settings } = this.options;
    return new Checkers({
      violate: (checker, message) => this.#violate(checker, message),
      nowMs: () => this.time.nowMs,
      slowestRate: 1 - clockDrift,
      delayMaxMs: () => this.#delayMaxMs + this.#pauseMaxMs,
      clocks: {
        fastestRate: 1 + clockDrift,
        jumpsMs: () => this.#clockJumpsMs,
        lateMaxMs: settings.raft.clockStepMaxMs + 10 * settings.raft.tickMs,
        graceIntervalMs: settings.raft.electionGraceIntervalMs,
      },
    });
  }

  #addMember(id: NodeId, random: Random): void {
    const { settings, wal, disk, tearsWrites, clockDrift, ambushes } = this.options;
    const member = new SimMember({
      id,
      number: this.#members.length + 1,
      incarnation: `${id}-1`,
      addresses: addressesAsFounded(id),
      time: this.time,
      network: this.network,
      random: random.fork(),
      settings: {
        settings,
        wal,
        disk,
        tearsWrites,
        clockRate: 1 + clockDrift * random.between(-1, 1),
        separateImage: ambushes.slowInstall > 0 || ambushes.staged.includes("overtakenImage"),
      },
      hooks: this.#hooks,
    });
    this.#members.push(member);
    this.#byId.set(id, member);
    this.checkers.newDisk(member);
  }

  #addClient(name: string, random: Random, workload: Workload): void {
    const { thinkMs, callTimeoutMs } = this.options;
    const client = new Client({
      name,
      time: this.time,
      random,
      gateway: this.#gateway,
      checkers: this.checkers,
      history: this.#history,
      workload,
      members: () => this.#members,
      thinkMs,
      callTimeoutMs,
      hasLabels: this.options.hasLabels,
      clockJumpsMs: () => this.#clockJumpsMs,
      violate: (checker, message) => this.#violate(checker, message),
    });
    this.#clients.push(client);
  }

  #addWatcher(name: string, random: Random): void {
    const watcher = new Watcher({
      name,
      time: this.time,
      random,
      members: () => this.#members,
      state: this.checkers.state,
      violate: (checker, message) => this.#violate(checker, message),
      stayMs: this.unitMs * 5,
    });
    this.#watchers.push(watcher);
  }

  /** All founding members write the same first entry, as bootstrap leaves them. */
  #found(): void {
    const membership = this.#founders();
    let founded = 0;
    for (const member of this.#members) member.found(membership, () => (founded += 1));
    this.time.runUntil(() => founded === this.#members.length, 600_000, "the founding of all members");
  }

  #founders(): Membership {
    return membershipOf(this.#members.map(({ id }) => id));
  }

  readonly #hooks: MemberHooks = {
    started: (member, report) => {
      if (this.checkers.damage.started(member, report.recovering)) this.#isWhole(member);
      this.checkers.started(member);
      this.trace.note(this.time.nowMs, "start", member, report.recovering ?? report.damage.join("; "));
    },
    stepped: (member) => {
      this.checkers.stepped(member);
      this.#staged.look();
    },
    raftEvent: (member, event) => {
      this.checkers.raftEvent(member, event);
      if (event.kind === "membershipChanged") this.#ambushes.membershipChanged(member, event.at);
      this.#mark(event.kind === "steppedDown" ? event.reason : event.kind);
      if (event.kind === "recovered") {
        this.checkers.damage.healed(member.id);
        this.#isWhole(member);
      }
      this.trace.note(this.time.nowMs, `* ${event.kind}`, member, "reason" in event ? event.reason : "");
    },
    registryEvents: (member, events) => this.checkers.registryEvents(member, events),
    applied: (member, index) => this.checkers.applied(member, index),
    snapshotInstalled: (member, index) => {
      this.#mark("snapshotInstalled");
      if (this.#installations.installed(member)) this.#mark("installedInALaterTerm");
      this.trace.note(this.time.nowMs, "* installed", member, String(index));
    },
    announced: (member) => {
      this.#mark("announced");
      this.trace.note(this.time.nowMs, "* announced", member, member.addresses.peerUrl);
    },
    handsOver: (member, why) => {
      this.#mark(`${why} hand-over`);
      this.trace.note(this.time.nowMs, `* ${why} hand-over`, member);
    },
    fatal: (member, error) => {
      const stack = error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
      this.#violate("fatal", `${member.id}: ${stack}`);
    },
    storageFailed: (member, process) => this.#superviseFailed(member, process),
    disk: (member) => ({
      completed: (name, fault) => this.trace.event(this.time.nowMs, name, member, fault?.code ?? ""),
    }),
    durable: (member, withNames) => this.checkers.durable(member, withNames),
  };

  /** A process whose disk has failed ends, and its supervisor starts another. */
  #superviseFailed(member: SimMember, process: SimProcess): void {
    this.#mark("diskFailed");
    this.trace.note(this.time.nowMs, "* disk failed", member);
    this.time.plan(this.#random.exponential(this.unitMs), () => {
      if (member.process !== process) return;
      this.crash(member, this.#random.chance(0.5));
      this.time.plan(this.#random.exponential(this.unitMs), () => this.start(member));
    });
  }

  /** A disk that was damaged by rot is whole again. */
  #isWhole(member: SimMember): void {
    if (!this.atlas.isRotten(member.id)) return;
    this.atlas.repair(member.id);
    this.trace.note(this.time.nowMs, "* whole", member);
  }

  #arrived(what: string, from: NodeId, to: NodeId, message: Message | null, delayMs: number): void {
    this.#delayMaxMs = Math.max(this.#delayMaxMs, delayMs);
    const member = this.#byId.get(to)!;
    this.trace.event(this.time.nowMs, what, member, message ?? from);
    if (message !== null) this.checkers.arriving(member, message);
  }

  #mark(what: string): void {
    this.#marks.set(what, (this.#marks.get(what) ?? 0) + 1);
  }

  #violate(checker: string, message: string): void {
    if (this.#violation !== null) return;
    this.#violation = { checker, message };
    this.trace.note(this.time.nowMs, "VIOLATION", null, `${checker}: ${message}`);
  }
}
