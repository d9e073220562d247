/**
 * How this member is, and how the others are: room on the disk, speed of the disk, its own pace, and whether all states are the same. Members
 * tell each other now and then; what follows from it for a leader is in `succession.ts`, for growth in `room-rules.ts`, for states in
 * `state-agreement.ts`.
 */

import type { RaftStatus } from "../raft/io.ts";
import type { Index, NodeId } from "../raft/types.ts";
import type { Registry } from "../registry/registry.ts";
import { isStalled, WriteTimes } from "./disk-rules.ts";
import { isHashNear, keepHashUp } from "./hash-upkeep.ts";
import type { ReplicaObserver } from "./observer.ts";
import { Pace } from "./pace.ts";
import type { Checkpoint, DiskRoom, MemberReport, PeerNetwork } from "./ports.ts";
import { isRoomShort, mayRestoreReserve, whoHasNoRoom } from "./room-rules.ts";
import type { ReplicaSettings } from "./settings.ts";
import { checkpointsMax, disagreementOf } from "./state-agreement.ts";
import { Succession, type Successor } from "./succession.ts";

export interface HealthOptions {
  readonly self: NodeId;
  readonly peers: PeerNetwork;
  /** Null where nobody can look. */
  readonly room: DiskRoom | null;
  readonly settings: ReplicaSettings;
  readonly observer: ReplicaObserver;
  readonly nowMs: () => number;
  readonly status: () => RaftStatus;
  readonly leader: () => NodeId | null;
  /** Whether this member's start has not caught up yet: see Wiring. */
  readonly isReplaying: () => boolean;
  readonly registry: () => Registry;
  /** Whether entries wait that could be applied. */
  readonly hasBacklog: () => boolean;
  /** Of the oldest unfinished write to the log, milliseconds. */
  readonly pendingMs: (nowMs: number) => number;
  /** What happened before this moment has been seen; see RaftDriver. */
  readonly unreadSinceMs: () => number;
  /** Whether a write to the log or to the image has found no room, and has not been made up for. */
  readonly isFull: () => boolean;
  readonly transfer: (to: NodeId) => void;
  /** Asks for another turn. */
  readonly wake: () => void;
  /** This member must not go on. */
  readonly fatal: (error: Error) => void;
}

/**
 * Rounds of the loop that a write may wait for beside the disk: its group is written and then synced, after the group before it. A loop
 * whose rounds are late by this part of what counts as slow makes a sound disk look slow.
 */
const roundsPerWrite = 4;

/** So long after a late round nothing is concluded from how long writes take, milliseconds. A disk that hangs is known all the same. */
const latenessKeptMs = 1_000;

/** What a member said counts this long, in intervals of reports. */
const reportsKept = 5;

export class Health {
  readonly #options: HealthOptions;
  /** From handing a write over until its end was looked at: at most so long. */
  readonly #writeTimes = new WriteTimes();
  /**
   * For how long turns have seen it unfinished: at least so long. That a turn came late, by its own work or for want of a processor, is not
   * the disk's fault, so this member holds no more than this against its own disk, and others get the benefit of no doubt.
   */
  readonly #seenTimes = new WriteTimes();
  readonly #pace: Pace;
  readonly #succession: Succession;
  readonly #reports = new Map<NodeId, { readonly report: MemberReport; readonly atMs: number }>();
  readonly #asked = new Set<NodeId>();
  #checkpoints: readonly Checkpoint[] = [];
  #roomIsShort = false;
  #isReserveGone = false;
  #lastRoundMs = -Infinity;
  #lateAtMs = -Infinity;
  /** The newest index at which a disagreement was told. */
  #toldIndex: Index = 0;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#pace = new Pace(options.settings.raft.tickMs);
    this.#succession = new Succession(options);
  }

  /** Whether this member's disk hangs: it neither leads nor tries to. */
  get isStalled(): boolean {
    return isStalled(this.#pendingMs, this.#options.settings);
  }

  /** Whose lack of room keeps the registry from growing; null when it may grow. */
  get noRoomAt(): NodeId | null {
    const { self, leader, status } = this.#options;
    const short: NodeId[] = this.#roomIsShort || this.#options.isFull() ? [self] : [];
    for (const [id, { report }] of this.#reports) if (report.roomIsShort) short.push(id);
    if (short.length === 0) return null;
    const { voters } = status().membership;
    return whoHasNoRoom({ self, leader: leader(), voters, short: new Set(short) });
  }

  tick(nowMs: number): void {
    this.#noteLateness(nowMs);
    if (keepHashUp(this.#options.registry(), this.#options.isReplaying())) this.#options.wake();
    if (this.#isLeader && this.isStalled) this.#judgeDisk(nowMs);
    if (nowMs - this.#lastRoundMs < this.#options.settings.reportIntervalMs) return;
    this.#lastRoundMs = nowMs;
    this.#pace.check();
    this.#forgetOld(nowMs);
    this.#lookAtRoom();
    if (this.#isLeader) this.#judgeLeader(nowMs);
    for (const { id } of this.#options.status().membership.members) this.#ask(id);
  }

  /** A group with entries, handed to the log at this moment, became durable. */
  written(startedAtMs: number): void {
    this.#writeTimes.add(this.#options.nowMs() - startedAtMs);
    if (!this.#wasLate(startedAtMs))
      this.#seenTimes.add(Math.max(0, this.#options.unreadSinceMs() - startedAtMs));
  }

  /** The core has given up the transfer of leadership to this member, whoever asked for it. */
  transferAborted(to: NodeId): void {
    this.#succession.aborted(to, this.#options.nowMs());
  }

  #noteLateness(nowMs: number): void {
    const lateMs = this.#pace.turn(nowMs, this.#options.hasBacklog());
    if (lateMs >= this.#options.settings.diskSlowMs / roundsPerWrite) this.#lateAtMs = nowMs;
  }

  /** Whether the loop came late at that moment, shortly before, or since. */
  #wasLate(atMs: number): boolean {
    return atMs - this.#lateAtMs < latenessKeptMs;
  }

  /** How long the disk was seen at work on the oldest unfinished write. */
  get #pendingMs(): number {
    return this.#options.pendingMs(this.#options.unreadSinceMs());
  }

  /** To be called right after the entry at `index` was applied, for every entry. */
  applied(index: Index): void {
    if (index % this.#options.settings.hashEveryEntries !== 0) return;
    const registry = this.#options.registry();
    if (!isHashNear(registry)) return;
    const checkpoint = { index, hash: registry.stateHash() };
    this.#checkpoints = [...this.#checkpoints, checkpoint].slice(-checkpointsMax);
  }

  /** Another member's report, answered by this one's. */
  exchange(from: NodeId, report: MemberReport): MemberReport {
    this.#take(from, report);
    return this.report();
  }

  report(): MemberReport {
    const pendingMs = this.#pendingMs;
    const usualMs = this.#writeTimes.usualMs;
    return {
      writeMs: pendingMs > (usualMs ?? this.#options.settings.diskSlowMs) ? pendingMs : usualMs,
      roomIsShort: this.#roomIsShort || this.#options.isFull(),
      lateMs: this.#pace.lateMs,
      checkpoints: this.#checkpoints,
    };
  }

  get #isLeader(): boolean {
    return this.#options.leader() === this.#options.self;
  }

  #ask(id: NodeId): void {
    const { self, peers, settings } = this.#options;
    if (id === self || this.#asked.has(id)) return;
    this.#asked.add(id);
    const request = { kind: "report", report: this.report() } as const;
    peers.request(id, request, settings.reportIntervalMs, (outcome) => {
      this.#asked.delete(id);
      if (outcome.kind === "reply" && outcome.reply.kind === "report") this.#take(id, outcome.reply.report);
    });
  }

  #take(from: NodeId, report: MemberReport): void {
    this.#reports.set(from, { report, atMs: this.#options.nowMs() });
    this.#compareStates();
  }

  #forgetOld(nowMs: number): void {
    const keptMs = reportsKept * this.#options.settings.reportIntervalMs;
    for (const [id, { atMs }] of this.#reports) if (nowMs - atMs > keptMs) this.#reports.delete(id);
  }

  #judgeLeader(nowMs: number): void {
    this.#judgeDisk(nowMs);
    const successors = this.#successors();
    if (this.#roomIsShort || this.#options.isFull()) this.#succession.judgeRoom(nowMs, successors);
    this.#succession.judgePace(nowMs, this.#pace.lateMs, successors);
  }

  #judgeDisk(nowMs: number): void {
    if (this.#wasLate(nowMs) && !this.isStalled) return;
    const own = { writeMs: this.#seenTimes.usualMs, pendingMs: this.#pendingMs };
    this.#succession.judgeDisk(nowMs, own, this.#successors());
  }

  /** The voters that this leader hears of, with what they said; none while it is handing over already. */
  #successors(): readonly Successor[] {
    const { peers, membership, transferringTo } = this.#options.status();
    if (transferringTo !== null) return [];
    return peers.flatMap(({ id, recentlyActive, recovering }) => {
      const said = this.#reports.get(id);
      const couldLead = membership.voters.includes(id) && recentlyActive && !recovering;
      return said !== undefined && couldLead ? [{ id, report: said.report }] : [];
    });
  }

  #lookAtRoom(): void {
    const { room, settings, observer } = this.#options;
    room?.look((freeBytes) => {
      const isFull = this.#options.isFull();
      const wasShort = this.#roomIsShort;
      this.#roomIsShort = isRoomShort(wasShort, { freeBytes, isFull }, settings);
      if (this.#roomIsShort !== wasShort)
        observer.roomChanged(this.#roomIsShort, freeBytes, settings.diskSoftBytes);
      if (isFull && !this.#isReserveGone) {
        this.#isReserveGone = true;
        room.releaseReserve();
      } else if (!isFull && mayRestoreReserve(freeBytes, settings)) {
        this.#isReserveGone = false;
        room.restoreReserve();
      }
    });
  }

  #compareStates(): void {
    const { observer, status } = this.#options;
    const others = new Map([...this.#reports].map(([id, { report }]) => [id, report.checkpoints]));
    const disagreement = disagreementOf(this.#checkpoints, others, status().membership.voters);
    if (disagreement === null) return;
    const isNews = disagreement.index > this.#toldIndex;
    this.#toldIndex = Math.max(this.#toldIndex, disagreement.index);
    if (isNews || disagreement.isOddOneOut) observer.stateDiffers(disagreement);
    if (!disagreement.isOddOneOut) return;
    const { index, own, members } = disagreement;
    const sentence = `the state after entry ${index} has the hash ${own} here, and another one at ${members.join(" and ")}: this member's state is wrong. Replace it: rollcall member replace ${this.#options.self}`;
    this.#options.fatal(new Error(sentence));
  }
}
