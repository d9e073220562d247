/**
 * After everything that went wrong: the world is healed, a majority of members whose memory is whole is chosen, and the others stay
 * down. That must be enough for a leader, for agreement, for new writes, and for every open question to be answered, in bounded time.
 */

import type { Membership, NodeId } from "../../src/raft/types.ts";
import type { WriteEnd } from "../../src/replica/pending-write.ts";
import type { VirtualTime } from "../support/virtual-time.ts";
import type { Checkers } from "./checkers/checkers.ts";
import type { Watcher } from "./clients/watcher.ts";
import type { History } from "./clients/history.ts";
import { checkHistory } from "./linearizability/check.ts";
import type { FaultAtlas } from "./nemesis/atlas.ts";
import { settleUnder } from "./partial-partition.ts";
import type { Random } from "./random.ts";
import { strandCandidate } from "./stranded-candidate.ts";
import type { Violate } from "./violation.ts";
import type { Links, PartitionShape } from "./world/links.ts";
import { areEqual } from "./world/addresses.ts";
import type { SimMember } from "./world/member.ts";

const checker = "liveness";

/** In longest election timeouts. */
const limits = {
  start: 50,
  /** Issue and thesis alike: a partition that heals settles on one leader within ten election timeouts. */
  leader: 10,
  write: 10,
  /** How long a client is ready to wait, so that it is told what became of its write and not that its time was over. */
  patience: 200,
  agreement: 50,
  /** One change after the other, and each may be asked for again. */
  addresses: 50,
} as const;

/** It takes long, so only so many runs wait for it. */
const expiryShare = 0.25;

/** Of the workload: leases, protection's holds and presence's lingering, one after the other. */
const longestShortLeaseMs = 20_000;

/** Whoever needs so many events for one step is talking in circles. */
const stormEvents = 200_000;

export interface LivenessWorld {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly atlas: FaultAtlas;
  readonly checkers: Checkers;
  readonly violate: Violate;
  /** A longest election timeout by the slowest clock. */
  readonly timeoutMs: number;
  /** How long a change of the membership may be under way after it was asked for. */
  readonly operatorMs: number;
  /** True time in which cluster time passes the longest short lease under one leader, its grace and steps included. */
  readonly expiryMs: number;
  /** True time that a new leader may take from cluster time: its grace, and what the one before it had not stamped (DESIGN.md section 4). */
  readonly leaderChangeMs: number;
  /** How long it takes to bring one entry to a follower and to hear of it, with some to spare. */
  readonly entryMs: number;
  /** How long anybody who has asked may still wait for an answer. */
  readonly answerMs: number;
  readonly watchers: readonly Watcher[];
  readonly history: History;
  readonly links: Links;
  /** What the network looks like before all of it is healed; null for healed at once. */
  readonly partial: { readonly shape: PartitionShape; readonly random: Random } | null;
  /** Whether a candidate is left behind in a term of its own before anything is looked at. */
  readonly strandsCandidate: boolean;
  /** Somebody stood still for so long. */
  readonly paused: (ms: number) => void;
  /** Ends a member that is to be started elsewhere; null in a run without such. */
  readonly move: ((member: SimMember) => void) | null;
  members(): readonly SimMember[];
  memberships(): readonly Membership[];
  crash(member: SimMember): void;
  start(member: SimMember): void;
  /** Whose disks were damaged, and who have not come back from that. */
  rotten(): readonly SimMember[];
  events(): number;
  /** Whether a client or an ambush still waits for an answer. */
  isAnswerAwaited(): boolean;
  step(): void;
  /** Whether a violation has ended the run. */
  isOver(): boolean;
  note(what: string): void;
}

/** Returns whether there was a majority to try it with. */
export function checkLiveness(world: LivenessWorld): boolean {
  const whole = startWhole(world);
  if (whole === null) return false;
  checkStrandedCandidate(world, whole);
  checkPartialPartition(world);
  const core = chooseCore(world, whole);
  if (core === null) return false;
  world.note(`core ${core.map(({ id }) => id).join(" ")}`);
  awaitLeader(world, core);
  awaitAnswers(world);
  awaitAgreement(world, core);
  awaitWrites(world, core);
  moveOne(world, core);
  awaitAddresses(world, core);
  awaitAgreement(world, core);
  checkWatchers(world, core);
  if (world.random.chance(expiryShare)) awaitExpiries(world, core);
  awaitRecovery(world, core);
  checkHistories(world);
  return true;
}

/** Those whose memory is whole, all of them up; null when they are no majority. */
function startWhole(world: LivenessWorld): readonly SimMember[] | null {
  const whole = world.members().filter(({ id }) => !world.atlas.isDamaged(id));
  for (const member of whole) world.start(member);
  awaitThat(world, limits.start, "all members are up", () => whole.every(({ core }) => core !== null));
  // What the operator asked for last may still come to be.
  const quietMs = world.time.nowMs + world.operatorMs;
  awaitThat(
    world,
    limits.start + world.operatorMs / world.timeoutMs,
    "the operator's last request is over",
    () => world.time.nowMs > quietMs,
  );
  if (world.isOver()) return null;
  return world.memberships().every((membership) => isQuorum(membership, whole)) ? whole : null;
}

function checkStrandedCandidate(world: LivenessWorld, whole: readonly SimMember[]): void {
  // Whoever is damaged, or was until now, may lead all the same, or follow nobody. And of two neither can do without the other.
  const isWhole = whole.length === world.members().length;
  if (!world.strandsCandidate || !isWhole || whole.length < 3 || world.isOver()) return;
  const isFollowed = (): boolean => leaderOf(whole) !== null;
  if (!comes(world, limits.leader, isFollowed)) return;
  const { links, time, paused } = world;
  const isStranded = strandCandidate({
    links,
    members: whole,
    leaderOf,
    comes: (timeouts, isTrue) => comes(world, timeouts, isTrue),
    nowMs: () => time.nowMs,
    paused,
  });
  if (!isStranded) return;
  world.note("stranded candidate");
  awaitThat(world, limits.leader, "a leader that everybody follows, though one was a term ahead", isFollowed);
}

function checkPartialPartition(world: LivenessWorld): void {
  if (world.partial === null) return;
  const { shape } = world.partial;
  const isTried = settleUnder({
    ...world.partial,
    links: world.links,
    members: world.members().filter(({ core }) => core !== null),
    counts: ({ id }) => !world.atlas.isDamaged(id),
    memberships: () => world.memberships(),
    isQuorum,
    await: (timeouts, what, isTrue) => awaitThat(world, timeouts, what, isTrue),
    wait: (timeouts) => letPass(world, timeouts),
  });
  if (isTried) world.note(`settled under ${shape}`);
}

/** A majority of every membership that may be in force, as small as luck will have it. */
function chooseCore(world: LivenessWorld, whole: readonly SimMember[]): readonly SimMember[] | null {
  const memberships = world.memberships();
  if (world.isOver() || !memberships.every((membership) => isQuorum(membership, whole))) return null;
  let core: readonly SimMember[] = whole;
  for (const member of world.random.shuffled(whole)) {
    const smaller = core.filter((other) => other !== member);
    if (memberships.every((membership) => isQuorum(membership, smaller))) core = smaller;
  }
  for (const member of world.members()) if (!core.includes(member)) world.crash(member);
  return core;
}

function isQuorum({ voters, outgoing }: Membership, members: readonly SimMember[]): boolean {
  const ids = new Set<NodeId>(members.map(({ id }) => id));
  return [voters, outgoing].every(
    (half) => half.length === 0 || half.filter((id) => ids.has(id)).length * 2 > half.length,
  );
}

function awaitLeader(world: LivenessWorld, core: readonly SimMember[]): void {
  awaitThat(world, limits.leader, "one leader that the core follows", () => leaderOf(core) !== null);
}

function leaderOf(core: readonly SimMember[]): SimMember | null {
  const leader = core.find(({ replica }) => replica?.isLeader === true);
  if (leader === undefined) return null;
  const term = leader.core!.term;
  // Whoever is no voter any more need not follow anybody.
  const { membership } = leader.core!.view.node.log;
  const voters = core.filter(({ id }) => membership.voters.includes(id) || membership.outgoing.includes(id));
  return voters.every((member) => member.core?.leader === leader.id && member.core.term === term)
    ? leader
    : null;
}

/** Any member of the core that is a voter takes a write. */
function awaitWrites(world: LivenessWorld, core: readonly SimMember[]): void {
  for (const member of votersOf(world, core)) {
    let end: WriteEnd | null = null;
    const name = `liveness.${member.id}/0`;
    world.checkers.outcomes.begun(name, true);
    const command = {
      kind: "deregister",
      namespace: "default",
      service: "liveness",
      id: member.id,
      incarnation: null,
    } as const;
    const limit = withElections(world, limits.write, limits.leader);
    const timeoutMs = limits.patience * world.timeoutMs;
    member.process!.run(() =>
      member.replica!.submit(
        command,
        { timeoutMs, idempotencyKey: name, by: name },
        (answer) => (end = answer),
      ),
    );
    awaitThat(world, limit, `a write at ${member.id} is answered`, () => end !== null);
    if (world.isOver()) return;
    const answer = end as WriteEnd | null;
    if (answer?.kind === "error")
      world.violate(checker, `a write at ${member.id} failed: ${answer.error.message}`);
  }
}

/**
 * Who votes by what is committed. A member's own log does not tell: one that was removed while it was away learns that it is gone, goes
 * quiet, and never gets the entry that says so; and a newcomer may not have heard yet that it is in.
 */
function votersOf(world: LivenessWorld, core: readonly SimMember[]): readonly SimMember[] {
  const membership = world.checkers.committed.membership();
  return core.filter(
    ({ id, incarnation }) =>
      membership?.voters.includes(id) === true &&
      membership.members.some((member) => member.id === id && member.incarnation === incarnation),
  );
}

/** Whatever became of the changes of the membership before, there can be another one. */
function moveOne(world: LivenessWorld, core: readonly SimMember[]): void {
  if (world.move === null || world.isOver()) return;
  const member = world.random.pick(core);
  world.move(member);
  world.start(member);
  awaitThat(world, limits.start, `${member.id} is up elsewhere`, () => member.core !== null);
  awaitLeader(world, core);
}

/** The membership says of everybody where it runs. */
function awaitAddresses(world: LivenessWorld, core: readonly SimMember[]): void {
  awaitThat(world, limits.addresses, "everybody is listed where it is reached", () =>
    core.every(({ id, incarnation, addresses }) => {
      const listed = world.checkers.committed.membership()?.members.find((member) => member.id === id);
      return listed?.incarnation !== incarnation || areEqual(listed, addresses);
    }),
  );
}

function awaitAgreement(world: LivenessWorld, core: readonly SimMember[]): void {
  const { committed } = world.checkers;
  const isSettled = (member: SimMember): boolean => {
    // A process whose disk was about to fail may end, and be started again, as late as now.
    if (member.core === null) return false;
    const { log } = member.core.view.node;
    return log.appliedIndex === log.lastIndex && log.lastIndex === committed.lastIndex;
  };
  const logs = votersOf(world, core).map((member) => member.core?.view.node.log);
  const last = Math.max(committed.lastIndex, ...logs.map((log) => log?.lastIndex ?? 0));
  // Some runs let a single small append be under way at a time: whoever is far behind takes that long.
  const behind = last - Math.min(...logs.map((log) => log?.durableIndex ?? 0));
  const limit = limits.agreement + (behind * world.entryMs) / world.timeoutMs;
  awaitThat(world, limit, "the core has applied everything", () => votersOf(world, core).every(isSettled));
  if (world.isOver()) return;
  for (const member of votersOf(world, core)) world.checkers.state.compareAll(member, member.appliedIndex);
}

/** Nobody has asked for anything since the world was healed, and nobody waits for ever. */
function awaitAnswers(world: LivenessWorld): void {
  const limit = world.answerMs / world.timeoutMs;
  awaitThat(world, limit, "whoever asked has an answer or has given up", () => !world.isAnswerAwaited());
}

function checkWatchers(world: LivenessWorld, core: readonly SimMember[]): void {
  awaitLeader(world, core);
  const leader = leaderOf(core);
  if (leader === null) return;
  const reached = (): boolean =>
    world.watchers.every(({ cursor }) => cursor >= leader.replica!.registry.revision);
  for (const watcher of world.watchers) watcher.attachTo(leader);
  awaitThat(world, limits.write, "every watch has been told everything", reached);
}

/** Nobody renews any more: every short lease must run out, although nobody writes. Cluster time stands still while nobody leads. */
function awaitExpiries(world: LivenessWorld, core: readonly SimMember[]): void {
  const { expiryMs, leaderChangeMs, timeoutMs } = world;
  const isExpired = (): boolean => {
    const deadline = leaderOf(core)?.replica?.registry.nextDeadline();
    return deadline === null || (deadline !== undefined && deadline > soonMs);
  };
  const soonMs = world.checkers.state.registry.clusterTime + longestShortLeaseMs;
  const limit = withElections(world, expiryMs / timeoutMs, leaderChangeMs / timeoutMs + limits.leader);
  awaitThat(world, limit, "all short leases have run out", isExpired);
}

/** Members that lost a part of their memory come back, and the cluster gives it back to them. */
function awaitRecovery(world: LivenessWorld, core: readonly SimMember[]): void {
  awaitLeader(world, core);
  const membership = leaderOf(core)?.core?.view.node.log.membership;
  const isMember = (member: SimMember): boolean =>
    membership?.members.some(
      ({ id, incarnation }) => id === member.id && incarnation === member.incarnation,
    ) === true;
  const rotten = world.rotten().filter(isMember);
  for (const member of rotten) world.start(member);
  const limit = limits.agreement + (world.checkers.committed.lastIndex * world.entryMs) / world.timeoutMs;
  awaitThat(world, limit, "damaged members are whole again", () =>
    rotten.every(({ id }) => !world.rotten().some((member) => member.id === id)),
  );
}

function checkHistories(world: LivenessWorld): void {
  for (const [key, operations] of world.history.histories()) {
    const verdict = checkHistory(operations);
    if (verdict.kind === "undecided") world.note("undecided history");
    if (verdict.kind !== "notLinearizable") continue;
    const { operation } = verdict;
    world.violate(
      "linearizability",
      `${key}: ${JSON.stringify(operation)} fits into no order of the ${operations.length} calls`,
    );
  }
}

/**
 * A limit for what needs a leader, in longest election timeouts: `limit`, and `each` more for every election from now on. Some runs draw timeouts
 * so close to their delays that a leader misses its quorum now and then, and that votes are split again and again.
 */
function withElections({ checkers }: LivenessWorld, limit: number, each: number): () => number {
  const before = checkers.elections.count;
  return () => limit + (checkers.elections.count - before) * each;
}

function letPass(world: LivenessWorld, timeouts: number): void {
  const endMs = world.time.nowMs + timeouts * world.timeoutMs;
  while (!world.isOver() && world.time.nowMs < endMs) world.step();
}

/** Returns whether it has become true within so many longest election timeouts. */
function comes(world: LivenessWorld, timeouts: number, isTrue: () => boolean): boolean {
  const endMs = world.time.nowMs + timeouts * world.timeoutMs;
  while (!world.isOver() && !isTrue() && world.time.nowMs <= endMs) world.step();
  return isTrue();
}

/** `limit` is in longest election timeouts, and may grow with what happens meanwhile. */
function awaitThat(
  world: LivenessWorld,
  limit: number | (() => number),
  what: string,
  isTrue: () => boolean,
): void {
  const startMs = world.time.nowMs;
  const timeouts = typeof limit === "number" ? () => limit : limit;
  const eventsMax = world.events() + stormEvents;
  while (!world.isOver() && !isTrue()) {
    if (world.time.nowMs > startMs + timeouts() * world.timeoutMs)
      return world.violate(checker, `after ${timeouts().toFixed(1)} election timeouts still not: ${what}`);
    if (world.events() > eventsMax)
      return world.violate(checker, `after ${stormEvents} events still not: ${what}`);
    world.step();
  }
}
