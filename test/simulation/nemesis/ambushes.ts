/**
 * Faults that wait for the moment at which they hurt most. By chance alone hardly any run has them there: a leader lives for seconds, and
 * the entry that changes the membership is uncommitted for milliseconds.
 */

import type { EntryId } from "../../../src/raft/types.ts";
import type { AmbushOptions } from "../options.ts";
import type { Random } from "../random.ts";
import type { SimMember } from "../world/member.ts";
import { cutOffLeader } from "./cut-off-leader.ts";
import { askToHandOver } from "./hand-over.ts";
import type { NemesisWorld } from "./nemesis.ts";

/** Who is away comes back after so many election timeouts, whatever became of the replacement. */
const awayTimeoutsMax = 40;

export class Ambushes {
  readonly #world: NemesisWorld;
  readonly #random: Random;
  readonly #options: AmbushOptions;
  readonly #unitMs: number;
  #isStopped = false;
  /** Down until another was replaced. */
  #away: SimMember | null = null;

  constructor(options: {
    readonly world: NemesisWorld;
    readonly random: Random;
    readonly options: AmbushOptions;
    /** A shortest election timeout. */
    readonly unitMs: number;
  }) {
    this.#world = options.world;
    this.#random = options.random;
    this.#options = options.options;
    this.#unitMs = options.unitMs;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** A member's membership is now the one of that entry. Before anything about it was sent, if it is the leader that appended it. */
  membershipChanged(member: SimMember, at: EntryId): void {
    if (member.replica?.isLeader !== true || at.term !== member.replica.term()) return;
    if (this.#isStopped || !this.#random.chance(this.#options.splitAtChange)) return;
    const { network } = this.#world;
    const ids = this.#world.members().map(({ id }) => id);
    if (!cutOffLeader(network.links, member.id, ids, this.#random)) return;
    this.#world.faulted("split at a change", member.id);
    this.#world.time.plan(this.#unitMs * this.#random.between(1.5, 6), () => {
      if (!this.#isStopped) network.links.heal();
    });
  }

  /** A member was wiped, and the operator sets out to replace it. */
  replacing(member: SimMember): void {
    if (this.#isStopped || this.#away !== null || !this.#random.chance(this.#options.awayAtReplacement))
      return;
    const others = this.#world.members().filter((other) => other !== member && !other.isDown);
    // The rest must be a majority, or nobody is replaced.
    if (others.length < 4) return;
    const away = this.#random.pick(others);
    this.#away = away;
    this.#world.crash(away, false);
    this.#world.faulted("away at a replacement", away.id);
    this.#world.time.plan(this.#unitMs * awayTimeoutsMax, () => this.#comeBack(away));
  }

  /** The new one is a voter now, as the one who is away cannot know. */
  replaced(member: SimMember): void {
    const away = this.#away;
    if (this.#isStopped || away === null) return;
    for (const other of this.#world.members())
      if (other.replica?.isLeader === true) askToHandOver(other, member.id);
    this.#world.time.plan(this.#unitMs * this.#random.between(0.5, 3), () => this.#comeBack(away));
  }

  #comeBack(away: SimMember): void {
    if (this.#isStopped || this.#away !== away) return;
    this.#away = null;
    this.#world.start(away);
  }

  /** A member has all chunks of an image, and is about to install it. */
  imageReceived(member: SimMember, from: SimMember): void {
    if (this.#isStopped) return;
    if (this.#random.chance(this.#options.slowInstall)) this.#slowInstall(member, from);
    if (this.#random.chance(this.#options.slowBuild)) this.#slowBuild(member, from);
  }

  /** The disk takes its time, and another leads. */
  #slowInstall(member: SimMember, from: SimMember): void {
    const successor = this.#world.members().find((other) => couldFeed(other, member) && other !== from);
    if (successor === undefined) return;
    const lane = member.imageLane;
    lane.slowness = this.#random.pick([20, 100, 500]);
    askToHandOver(from, successor.id);
    this.#world.faulted("slow install", member.id);
    this.#world.time.plan(this.#unitMs * this.#random.between(0.5, 4), () => {
      lane.slowness = 1;
    });
  }

  /** So that messages, leaders and crashes come between the turns in which the state is built. */
  #slowBuild(member: SimMember, from: SimMember): void {
    const { process } = member;
    if (process === null) return;
    process.soonMs = this.#unitMs * this.#random.pick([0.002, 0.01, 0.05]);
    this.#world.faulted("slow build", member.id);
    const others = this.#world.members().filter((other) => other !== member && other !== from);
    if (others.length > 0 && this.#random.chance(0.3)) askToHandOver(from, this.#random.pick(others).id);
    this.#world.time.plan(this.#unitMs * this.#random.between(0.5, 6), () => {
      process.soonMs = 0;
    });
  }
}

/** Whether this one's log reaches back to where the member's ends. */
function couldFeed(other: SimMember, member: SimMember): boolean {
  if (other === member || other.core === null || member.core === null) return false;
  return other.core.view.node.log.firstIndex <= member.core.view.node.log.lastIndex + 1;
}
