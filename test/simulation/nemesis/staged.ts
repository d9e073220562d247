/**
 * Ambushes of several acts: a script brings about one situation step by step, by faults that the failure model allows, and waits in
 * between until the members have come as far as it needs them. By chance alone no run has four such things happen one after the other.
 *
 * A script looks into members in order to choose its moment, and never changes anything in them. Other faults are held back meanwhile.
 */

import { isJoint } from "../../../src/raft/membership.ts";
import type { Random } from "../random.ts";
import type { SimMember } from "../world/member.ts";
import type { NemesisWorld } from "./nemesis.ts";

/** What a script waits for, and for how many shortest election timeouts at most. */
export interface Wait {
  readonly until: () => boolean;
  readonly timeouts: number;
}

/** Is told whether what it waited for came in time. What it has broken it mends in a `finally`, however it ends. */
export type Script = Generator<Wait, void, boolean>;

/** A cluster that is whole: the place where a script begins. */
export interface Stage {
  readonly world: NemesisWorld;
  readonly random: Random;
  readonly leader: SimMember;
  /** All voters but the leader, in any order. */
  readonly followers: readonly SimMember[];
}

/** Mean pauses before the first script of a run and between two, in shortest election timeouts: most of a run has chance alone. */
const pauseTimeouts = 12;

/** So long is waited for a cluster that is whole. */
const settleTimeouts = 8;

export class StagedAmbushes {
  readonly #world: NemesisWorld;
  readonly #random: Random;
  readonly #scripts: readonly ((stage: Stage) => Script)[];
  readonly #unitMs: number;
  #script: Script | null = null;
  #wait: Wait | null = null;
  #isStopped = false;

  constructor(options: {
    readonly world: NemesisWorld;
    readonly random: Random;
    /** Which of them this run has. */
    readonly scripts: readonly ((stage: Stage) => Script)[];
    /** A shortest election timeout. */
    readonly unitMs: number;
  }) {
    this.#world = options.world;
    this.#random = options.random;
    this.#scripts = options.scripts;
    this.#unitMs = options.unitMs;
  }

  get isUnderWay(): boolean {
    return this.#script !== null;
  }

  start(): void {
    if (this.#scripts.length > 0) this.#pause();
  }

  stop(): void {
    this.#isStopped = true;
    this.#script?.return();
    this.#end();
  }

  /** After whatever any member did: what the script waits for may have come. */
  look(): void {
    const wait = this.#wait;
    if (wait?.until() !== true) return;
    this.#wait = null;
    // Not in the middle of what a member is doing; but before anything that it has sent arrives.
    this.#world.time.plan(0, () => this.#goOn(true));
  }

  #pause(): void {
    this.#world.time.plan(this.#random.exponential(pauseTimeouts * this.#unitMs), () => {
      if (this.#isStopped) return;
      this.#script = this.#play();
      this.#goOn(true);
    });
  }

  #goOn(hasCome: boolean): void {
    if (this.#script === null) return;
    const { done, value } = this.#script.next(hasCome);
    if (done === true) {
      this.#end();
      return this.#pause();
    }
    this.#wait = value;
    this.#world.time.plan(value.timeouts * this.#unitMs, () => {
      if (this.#wait !== value) return;
      this.#wait = null;
      this.#goOn(false);
    });
  }

  #end(): void {
    this.#script = null;
    this.#wait = null;
  }

  *#play(): Script {
    this.#world.network.links.heal();
    if (!(yield { until: () => stageOf(this.#world) !== null, timeouts: settleTimeouts })) return;
    const stage = stageOf(this.#world);
    if (stage === null) return;
    const script = this.#random.pick(this.#scripts);
    yield* script({
      world: this.#world,
      random: this.#random,
      leader: stage.leader,
      followers: this.#random.shuffled(stage.followers),
    });
  }
}

/** Null while anybody is down, stands still, is damaged, or follows somebody else. */
function stageOf(world: NemesisWorld): Pick<Stage, "leader" | "followers"> | null {
  if (world.operator.isBusy || world.atlas.size > 0) return null;
  const membership = world.membership();
  if (isJoint(membership)) return null;
  const voters = world.members().filter(({ id }) => membership.voters.includes(id));
  const leader = voters.find(({ replica }) => replica?.isLeader === true);
  if (leader === undefined || voters.length < membership.voters.length) return null;
  const isWell = ({ core, process, lane, isStopping }: SimMember): boolean =>
    core?.leader === leader.id &&
    core.term === leader.core?.term &&
    process?.isPaused === false &&
    !lane.isHung &&
    !isStopping;
  return voters.every(isWell) ? { leader, followers: voters.filter((voter) => voter !== leader) } : null;
}
