/**
 * Bare cores on a network of queues and disks that keep only what was synced: what a driver does, reduced to what Raft can observe.
 *
 * Nothing moves by itself. Whoever tests decides which message arrives, which write completes and who crashes, one step at a time.
 */

import type { Effect, Input } from "../../src/raft/io.ts";
import { defaultRaftConfig } from "../../src/raft/config.ts";
import type { RaftConfig } from "../../src/raft/config.ts";
import type { LogBase } from "../../src/raft/log.ts";
import { noMembership } from "../../src/raft/membership.ts";
import type { Message } from "../../src/raft/messages.ts";
import { RaftCore } from "../../src/raft/raft-core.ts";
import type { Entry, HardState, Membership, NodeId, SnapshotMeta } from "../../src/raft/types.ts";

type EffectOf<K extends Effect["kind"]> = Extract<Effect, { kind: K }>;
type Write = EffectOf<"persist"> | EffectOf<"compactLog"> | EffectOf<"recovered">;

/** The state machine: what was applied, as text, and what the log needs to go on after it. */
export interface Image {
  readonly base: LogBase;
  /** `state[i]` is what index i + 1 did. */
  readonly state: readonly string[];
}

export interface Disk {
  hardState: HardState;
  base: LogBase;
  entries: Entry[];
  image: Image;
  recovering: boolean;
  /** What the disk held before it lost its memory, and may have acknowledged; empty unless recovering. */
  lost: readonly Entry[];
}

export const emptyBase: LogBase = {
  last: { term: 0, index: 0 },
  clusterTime: 0,
  membership: noMembership,
  membershipIndex: 0,
  lastGraceAt: -1,
};

/** Short timeouts, so that tests read well: 10 ticks to an election, 2 to a heartbeat. */
export const testConfig: RaftConfig = { ...defaultRaftConfig, electionTicks: 10, heartbeatTicks: 2 };

export class TestMember {
  readonly id: NodeId;
  readonly disk: Disk;
  core: RaftCore;
  /** Writes that were ordered and are not durable, oldest first. */
  writes: Write[] = [];
  /** Messages that wait for a write. */
  held: { readonly message: Message; readonly afterSeq: number }[] = [];
  storedSeq = 0;
  image: Image;
  fetching: { readonly from: NodeId; readonly meta: SnapshotMeta } | null = null;
  isUp = true;
  /** How often this member's disk lost its memory. */
  losses = 0;

  constructor(id: NodeId, disk: Disk, core: RaftCore) {
    this.id = id;
    this.disk = disk;
    this.core = core;
    this.image = disk.image;
  }
}

export interface RaftNetworkOptions {
  readonly config?: Partial<RaftConfig>;
  /** The random source of each member; by default every draw is 0. */
  readonly random?: (id: NodeId) => () => number;
  /** Called with every effect before it is carried out. */
  readonly onEffect?: (member: TestMember, effect: Effect) => void;
  /** Called with every message that really leaves, once what it waited for is durable. */
  readonly onSent?: (message: Message) => void;
  /** Called after every step, before its effects are carried out. */
  readonly afterStep?: (member: TestMember, input: Input) => void;
}

export function incarnationOf(id: NodeId): string {
  return `${id}#1`;
}

/** A plain membership of these ids. */
export function membershipOf(voters: readonly NodeId[], learners: readonly NodeId[] = []): Membership {
  const ids = [...voters, ...learners].toSorted();
  const members = ids.map((id) => ({
    id,
    incarnation: incarnationOf(id),
    peerUrl: `peer://${id}`,
    clientUrl: `client://${id}`,
  }));
  return { voters: voters.toSorted(), outgoing: [], learners: learners.toSorted(), members };
}

export class RaftNetwork {
  readonly members = new Map<NodeId, TestMember>();
  /** Messages on their way, oldest first. */
  inFlight: Message[] = [];
  nowMs = 0;
  leasesExist = false;
  readonly #config: RaftConfig;
  readonly #options: RaftNetworkOptions;
  /** Images that were offered, by the id of their transfer. */
  readonly #images = new Map<string, Image>();
  /** The offer that stands, by leader and follower. */
  readonly #offers = new Map<string, { readonly id: string; readonly image: Image }>();
  #transfers = 0;

  constructor(options: RaftNetworkOptions = {}) {
    this.#options = options;
    this.#config = { ...testConfig, ...options.config };
  }

  get tickMs(): number {
    return this.#config.tickMs;
  }

  // ------------------------------------------------------------------ members

  /** Members that were bootstrapped together: the log begins with their membership. */
  bootstrap(voters: readonly NodeId[], learners: readonly NodeId[] = []): void {
    const membership = membershipOf(voters, learners);
    const first: Entry = { kind: "membership", term: 1, index: 1, clusterTime: 0, membership };
    for (const { id } of membership.members) this.add(id, [first]);
  }

  /** A member with this log, or one that waits to be added to the cluster. */
  add(id: NodeId, entries: readonly Entry[] = [], hardState?: HardState): TestMember {
    const disk: Disk = {
      hardState: hardState ?? { term: entries.at(-1)?.term ?? 0, vote: null },
      base: emptyBase,
      entries: [...entries],
      image: { base: emptyBase, state: [] },
      recovering: false,
      lost: [],
    };
    const member = new TestMember(id, disk, this.#boot(id, disk));
    this.members.set(id, member);
    return member;
  }

  member(id: NodeId): TestMember {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  core(id: NodeId): RaftCore {
    return this.member(id).core;
  }

  get leader(): TestMember | undefined {
    const leaders = [...this.members.values()].filter(
      (member) => member.isUp && member.core.status.role === "leader",
    );
    return leaders.toSorted((a, b) => b.core.status.term - a.core.status.term)[0];
  }

  #boot(id: NodeId, disk: Disk): RaftCore {
    const { hardState, base, entries, image, recovering } = disk;
    return new RaftCore({
      id,
      incarnation: incarnationOf(id),
      config: this.#config,
      boot: { hardState, base, entries: [...entries], appliedIndex: image.base.last.index, recovering },
      random: this.#options.random?.(id) ?? (() => 0),
    });
  }

  // ------------------------------------------------------------------ steps

  step(id: NodeId, input: Input): void {
    const member = this.member(id);
    if (!member.isUp) return;
    member.core.step(input);
    this.#options.afterStep?.(member, input);
    this.#carryOut(member);
  }

  #carryOut(member: TestMember): void {
    for (let effects = member.core.takeEffects(); effects.length > 0; effects = member.core.takeEffects()) {
      for (const effect of effects) this.#effect(member, effect);
    }
  }

  #effect(member: TestMember, effect: Effect): void {
    this.#options.onEffect?.(member, effect);
    switch (effect.kind) {
      case "persist":
      case "compactLog":
      case "recovered":
        member.writes.push(effect);
        return;
      case "send":
        return this.#send(member, effect);
      case "apply":
        return this.#apply(member, effect.entries);
      case "sendSnapshot":
        return this.#offerSnapshot(member, effect);
      case "fetchSnapshot":
        member.fetching = effect;
        return;
      case "proposalAppended":
      case "proposalRejected":
      case "readReady":
      case "readFailed":
      case "event":
        return;
    }
  }

  /** Ticks one member, after time has passed for all. */
  tick(id: NodeId): void {
    this.step(id, { kind: "tick", nowMs: this.nowMs, leasesExist: this.leasesExist });
  }

  /** One tick of everybody's. */
  tickAll(): void {
    this.nowMs += this.tickMs;
    for (const id of this.members.keys()) this.tick(id);
  }

  // ------------------------------------------------------------------ messages

  #send(member: TestMember, { message, afterSeq }: EffectOf<"send">): void {
    if (afterSeq > member.storedSeq) member.held.push({ message, afterSeq });
    else this.#sent(message);
  }

  #sent(message: Message): void {
    this.#options.onSent?.(message);
    this.inFlight.push(message);
  }

  /** Delivers a message, whether it is in flight or not: a copy may have been kept. */
  deliver(message: Message): void {
    if (this.members.has(message.to)) this.step(message.to, { kind: "message", nowMs: this.nowMs, message });
  }

  /** Takes those messages out of the network. */
  takeInFlight(matches: (message: Message) => boolean = () => true): Message[] {
    const taken = this.inFlight.filter(matches);
    this.inFlight = this.inFlight.filter((message) => !matches(message));
    return taken;
  }

  // ------------------------------------------------------------------ until nothing moves

  /** Stores and delivers everything until there is nothing left to do. No time passes. */
  settle(): void {
    for (let i = 0; i < 1000 && this.#isMoving(); i += 1) {
      for (const id of this.members.keys()) this.store(id);
      for (const message of this.takeInFlight()) this.deliver(message);
    }
  }

  #isMoving(): boolean {
    return this.inFlight.length > 0 || [...this.members.values()].some((member) => member.writes.length > 0);
  }

  /** Makes this member campaign and win, and brings everything to rest. */
  elect(id: NodeId): void {
    const { core } = this.member(id);
    while (core.status.role === "follower") this.tick(id);
    this.settle();
    if (core.status.role !== "leader") throw new Error(`${id} was not elected`);
  }

  // ------------------------------------------------------------------ disks

  /** Completes the oldest `count` writes. */
  store(id: NodeId, count = Number.POSITIVE_INFINITY): void {
    const member = this.member(id);
    const done = member.writes.splice(0, count);
    for (const write of done) writeTo(member.disk, write);
    const seq = done.findLast((write) => write.kind !== "compactLog")?.seq;
    if (seq === undefined) return;
    member.storedSeq = seq;
    const released = member.held.filter((held) => held.afterSeq <= seq);
    member.held = member.held.filter((held) => held.afterSeq > seq);
    for (const { message } of released) this.#sent(message);
    this.step(id, { kind: "stored", nowMs: this.nowMs, seq });
  }

  /** The process dies. Of the writes under way the first `survivingWrites` reached the disk nevertheless. */
  crash(id: NodeId, survivingWrites = 0): void {
    const member = this.member(id);
    for (const write of member.writes.slice(0, survivingWrites)) writeTo(member.disk, write);
    member.writes = [];
    member.held = [];
    member.fetching = null;
    member.isUp = false;
  }

  restart(id: NodeId): void {
    const member = this.member(id);
    member.storedSeq = 0;
    member.image = member.disk.image;
    member.core = this.#boot(id, member.disk);
    member.isUp = true;
    this.#carryOut(member);
  }

  /** Rot took the log's end, and the vote with it; the member noticed, and knows that it may have forgotten promises. */
  loseMemory(id: NodeId, lostEntries: number): void {
    const member = this.member(id);
    const { disk } = member;
    member.losses += 1;
    disk.lost = [...disk.entries];
    const imageEntries = disk.image.base.last.index - disk.base.last.index;
    disk.entries.length = Math.min(
      disk.entries.length,
      Math.max(disk.entries.length - lostEntries, imageEntries),
    );
    disk.hardState = { term: disk.entries.at(-1)?.term ?? disk.base.last.term, vote: null };
    disk.recovering = true;
  }

  // ------------------------------------------------------------------ state machine and snapshots

  #apply(member: TestMember, entries: readonly Entry[]): void {
    member.image = applyTo(member.image, entries);
    this.step(member.id, { kind: "applied", index: member.image.base.last.index });
  }

  /** The state image becomes durable, and the log before it may go. */
  checkpoint(id: NodeId, retainEntries = 0, retainBytes = Infinity): void {
    const member = this.member(id);
    member.disk.image = member.image;
    this.step(id, { kind: "compact", index: member.image.base.last.index, retainEntries, retainBytes });
  }

  /** Repeats the offer that stands, as long as the log can go on after it. */
  #offerSnapshot(member: TestMember, { to, term }: EffectOf<"sendSnapshot">): void {
    const standing = this.#offers.get(`${member.id} ${to}`);
    const isUseful =
      standing !== undefined && standing.image.base.last.index + 1 >= member.core.status.firstIndex;
    const { id, image } = isUseful ? standing : this.#newOffer(member, to);
    this.inFlight.push({ type: "snapshotOffer", from: member.id, to, term, meta: { id, ...image.base } });
  }

  #newOffer(member: TestMember, to: NodeId): { readonly id: string; readonly image: Image } {
    this.#transfers += 1;
    const offer = { id: `image-${this.#transfers}`, image: member.image };
    this.#offers.set(`${member.id} ${to}`, offer);
    this.#images.set(offer.id, offer.image);
    return offer;
  }

  /** Completes the fetching of an image: durable before the core hears of it, and in order with other writes. */
  install(id: NodeId): void {
    const member = this.member(id);
    const { fetching } = member;
    member.fetching = null;
    if (fetching === null) return;
    this.store(id);
    // What was applied meanwhile may have overtaken the image.
    if (fetching.meta.last.index <= member.image.base.last.index) return;
    const image = this.#images.get(fetching.meta.id);
    if (image === undefined) throw new Error(`no image ${fetching.meta.id}`);
    this.#offers.delete(`${fetching.from} ${id}`);
    installOn(member.disk, image);
    member.image = image;
    this.step(id, { kind: "snapshotInstalled", nowMs: this.nowMs, meta: fetching.meta });
    this.step(fetching.from, { kind: "snapshotSent", to: id, id: fetching.meta.id, ok: true });
  }
}

/** What the driver's contract makes of a write. Throws where the core breaks its side of it. */
function writeTo(disk: Disk, write: Write): void {
  if (write.kind === "recovered") {
    disk.recovering = false;
    disk.lost = [];
    return;
  }
  if (write.kind === "compactLog") return compactOn(disk, write.base);
  if (write.hardState !== null) disk.hardState = write.hardState;
  const { truncateAfter } = write;
  if (truncateAfter !== null) disk.entries = disk.entries.filter((entry) => entry.index <= truncateAfter);
  for (const entry of write.entries) {
    const last = disk.entries.at(-1)?.index ?? disk.base.last.index;
    if (entry.index !== last + 1)
      throw new Error(`the disk ends at ${last}, so entry ${entry.index} cannot be appended`);
    disk.entries.push(entry);
  }
}

function compactOn(disk: Disk, base: LogBase): void {
  if (base.last.index > disk.image.base.last.index)
    throw new Error("the log was compacted beyond the durable image");
  disk.base = base;
  disk.entries = disk.entries.filter((entry) => entry.index > base.last.index);
}

function installOn(disk: Disk, image: Image): void {
  disk.image = image;
  const { last } = image.base;
  if (disk.entries.some((entry) => entry.index === last.index && entry.term === last.term)) return;
  disk.base = image.base;
  disk.entries = [];
}

function applyTo(image: Image, entries: readonly Entry[]): Image {
  let { base } = image;
  const state = [...image.state];
  for (const entry of entries) {
    if (entry.index !== state.length + 1)
      throw new Error(`entry ${entry.index} was applied after ${state.length}`);
    state.push(describeEntry(entry));
    base = advanceBase(base, entry);
  }
  return { base, state };
}

function advanceBase(base: LogBase, entry: Entry): LogBase {
  const { term, index, clusterTime } = entry;
  const isGrace = entry.kind === "election" && entry.graceMs > 0;
  return {
    last: { term, index },
    clusterTime,
    membership: entry.kind === "membership" ? entry.membership : base.membership,
    membershipIndex: entry.kind === "membership" ? index : base.membershipIndex,
    lastGraceAt: isGrace ? clusterTime : base.lastGraceAt,
  };
}

/** An entry as text: `2@5 put a`, index first. */
export function describeEntry(entry: Entry): string {
  return `${entry.index}@${entry.term} ${describeContent(entry)}`;
}

function describeContent(entry: Entry): string {
  switch (entry.kind) {
    case "command":
      return new TextDecoder().decode(entry.payload);
    case "election":
      return entry.graceMs > 0 ? `election grace=${entry.graceMs}` : "election";
    case "membership":
      return `membership ${describeMembership(entry.membership)}`;
    case "clock":
      return `clock ${entry.clusterTime}`;
  }
}

/** `n1 n2 n3`, with `joint(n1 n2)` for the outgoing half and `learners(n4)` behind. */
export function describeMembership({ voters, outgoing, learners }: Membership): string {
  const parts = [voters.join(" ")];
  if (outgoing.length > 0) parts.push(`joint(${outgoing.join(" ")})`);
  if (learners.length > 0) parts.push(`learners(${learners.join(" ")})`);
  return parts.join(" ");
}

export function text(payload: string): Uint8Array {
  return new TextEncoder().encode(payload);
}
