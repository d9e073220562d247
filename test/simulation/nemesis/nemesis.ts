/**
 * What goes wrong: at random moments one fault after the other, each for a while, in the mixture that the seed has drawn.
 */

import type { Membership, NodeId } from "../../../src/raft/types.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Checkers } from "../checkers/checkers.ts";
import type { FaultKind, FaultWeights, SimulationOptions } from "../options.ts";
import type { Random } from "../random.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";
import { partitionShapes } from "../world/links.ts";
import type { SimNetwork } from "../world/network.ts";
import type { FaultAtlas } from "./atlas.ts";
import { cutOffLeader } from "./cut-off-leader.ts";
import { askToHandOver } from "./hand-over.ts";
import type { Operator } from "./operator.ts";
import type { Relocations } from "./relocations.ts";

export interface NemesisWorld {
  readonly time: VirtualTime;
  readonly network: SimNetwork;
  readonly atlas: FaultAtlas;
  readonly operator: Operator;
  readonly relocations: Relocations;
  members(): readonly SimMember[];
  /** The newest that is committed. */
  membership(): Membership;
  /** Every membership that may be in force somewhere. */
  memberships(): readonly Membership[];
  crash(member: SimMember, withPower: boolean): void;
  start(member: SimMember): void;
  /** Gives the member an empty disk, and starts it as somebody who is about to be added. Returns its new incarnation. */
  replaceDisk(member: SimMember): string;
  /** Flips a bit that the log or its floor must notice. Returns whether there was one to flip. */
  rotLog(member: SimMember): boolean;
  /** Flips a bit in the state image. */
  rotImage(member: SimMember): void;
  jumpClock(member: SimMember, ms: number): void;
  /** A process stands still for so long; what it received before may be as old when it looks at it. */
  paused(ms: number): void;
  /** An ambush has asked for a write, and waits for its answer for so long. */
  asked(timeoutMs: number): void;
  faulted(kind: string, member: NodeId | null): void;
  /** An ambush of several acts is under way: chance is held back meanwhile. */
  readonly isAmbushed: boolean;
  readonly options: SimulationOptions;
  /** A shortest election timeout. */
  readonly unitMs: number;
  readonly violate: Violate;
  readonly checkers: Checkers;
  /** The operator begins to put the new member in the place of the one that lost its disk; and has done so. */
  replacing(member: SimMember): void;
  replaced(member: SimMember): void;
}

export class Nemesis {
  readonly #world: NemesisWorld;
  readonly #random: Random;
  readonly #weights: readonly (readonly [weight: number, kind: FaultKind])[];
  readonly #everyMs: number;
  readonly #unitMs: number;
  #isStopped = false;

  constructor(options: {
    readonly world: NemesisWorld;
    readonly random: Random;
    readonly weights: FaultWeights;
    readonly everyMs: number;
    /** A shortest election timeout. */
    readonly unitMs: number;
  }) {
    this.#world = options.world;
    this.#random = options.random;
    this.#weights = Object.entries(options.weights)
      .filter(([, weight]) => weight > 0)
      .map(([kind, weight]) => [weight, kind as FaultKind]);
    this.#everyMs = options.everyMs;
    this.#unitMs = options.unitMs;
  }

  start(): void {
    if (this.#weights.some(([, kind]) => kind !== "heal")) this.#wait();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #wait(): void {
    this.#world.time.plan(this.#random.exponential(this.#everyMs), () => {
      if (this.#isStopped) return;
      if (!this.#world.isAmbushed) this.#strike(this.#random.weighted(this.#weights));
      this.#wait();
    });
  }

  /** Most faults last from a moment to a few election timeouts. */
  #aWhile(): number {
    return this.#random.exponential(this.#unitMs * this.#random.pick([0.3, 1, 4]));
  }

  #later(task: () => void): void {
    this.#world.time.plan(this.#aWhile(), () => {
      if (!this.#isStopped) task();
    });
  }

  #strike(kind: FaultKind): void {
    const { network } = this.#world;
    const member = this.#random.pick(this.#world.members());
    switch (kind) {
      case "partition": {
        const shape = this.#random.pick(partitionShapes);
        const ids = this.#world.members().map(({ id }) => id);
        if (this.#random.chance(0.7)) network.links.heal();
        // Nothing hurts as much as losing the leader.
        const leader = this.#random.chance(0.4) ? this.#leader() : null;
        const order = this.#random.shuffled(ids);
        const first = leader === null ? order : [leader.id, ...order.filter((id) => id !== leader.id)];
        network.links.partition(shape, first, this.#random);
        return this.#note(`partition ${shape}`, null);
      }
      case "splitLeader":
        return this.#splitLeader();
      case "heal":
        network.links.heal();
        this.#note("heal", null);
        return this.#random.chance(0.3) ? this.#crashAtReunion() : undefined;
      case "resetConnections":
        network.resetConnections(member.id);
        return this.#note(kind, member);
      case "badNetwork":
        return this.#badNetwork();
      case "crash":
      case "powerLoss":
        if (member.isDown) return;
        this.#world.crash(member, kind === "powerLoss");
        this.#startLater(member);
        return this.#note(kind, member);
      case "stop":
        return this.#stop(member);
      case "crashAll":
        return this.#crashAll();
      case "pause":
        return this.#pause((this.#random.chance(0.5) ? this.#leader() : null) ?? member);
      case "clockJump":
        if (member.isDown) return;
        this.#world.jumpClock(member, this.#random.exponential(this.#random.pick([5 * this.#unitMs, 3000])));
        return this.#note(kind, member);
      case "slowDisk":
      case "hangDisk":
      case "fullDisk":
        return this.#hurtDisk(kind, member);
      case "failDisk":
        if (member.replica === null) return;
        member.lane.failsNext = true;
        this.#later(() => {
          member.lane.failsNext = false;
        });
        return this.#note(kind, member);
      case "rotLog":
      case "rotImage":
        return this.#rot(kind, member);
      case "wipe":
        return this.#wipe(member);
      case "transfer":
        return this.#transfer(member);
      case "membership":
        return this.#changeMembership(member);
      case "compact":
        member.process?.run(() => member.replica?.compact(() => {}));
        return this.#note(kind, member);
      case "readdress":
        return this.#readdress(member);
    }
  }

  /** The one of the newest term that is heard to lead. */
  #leader(): SimMember | null {
    let leader: SimMember | null = null;
    for (const member of this.#world.members()) {
      if (member.replica?.isLeader !== true) continue;
      if (leader === null || member.replica.term() > (leader.replica?.term() ?? 0)) leader = member;
    }
    return leader;
  }

  /**
   * The leader is cut off for long enough that the others elect another: it appends what nobody commits, and then all meet again.
   */
  #splitLeader(): void {
    const { network } = this.#world;
    const leader = this.#leader();
    const ids = this.#world.members().map(({ id }) => id);
    if (leader === null || !cutOffLeader(network.links, leader.id, ids, this.#random)) return;
    this.#note("split of the leader", leader);
    this.#world.time.plan(this.#unitMs * this.#random.between(0.5, 5), () => {
      if (this.#isStopped) return;
      network.links.heal();
      this.#note("heal", null);
      if (this.#random.chance(0.4)) this.#crashAtReunion();
    });
  }

  /** At the moment at which those who were cut off come back, the leader goes, or everybody does: whose log goes on then? */
  #crashAtReunion(): void {
    if (!this.#weights.some(([, kind]) => kind === "crash" || kind === "powerLoss")) return;
    if (this.#random.chance(0.4)) return this.#crashAll();
    const leader = this.#leader();
    if (leader === null) return;
    this.#world.crash(leader, this.#random.chance(0.5));
    this.#startLater(leader);
    this.#note("crash of the leader", leader);
  }

  #note(kind: string, member: SimMember | null): void {
    this.#world.faulted(kind, member?.id ?? null);
  }

  #startLater(member: SimMember): void {
    this.#later(() => this.#world.start(member));
  }

  #badNetwork(): void {
    const { network } = this.#world;
    network.extraLoss = this.#random.pick([0.1, 0.3, 0.6]);
    network.extraLatencyMs = this.#unitMs * this.#random.pick([0, 0.1, 0.5]);
    this.#later(() => {
      network.extraLoss = 0;
      network.extraLatencyMs = 0;
    });
    this.#note("badNetwork", null);
  }

  #crashAll(): void {
    const withPower = this.#random.chance(0.7);
    for (const member of this.#world.members()) {
      this.#world.crash(member, withPower);
      this.#startLater(member);
    }
    this.#note(withPower ? "powerLoss of all" : "crash of all", null);
  }

  /** Gracefully, as before an upgrade; whoever has not finished in time is killed. */
  #stop(member: SimMember): void {
    const { process, replica } = member;
    if (process === null || replica === null) return;
    const end = (): void => {
      if (member.process !== process) return;
      this.#world.crash(member, this.#random.chance(0.3));
      this.#startLater(member);
    };
    member.isStopping = true;
    process.run(() => replica.stop(end));
    this.#world.time.plan(10 * this.#unitMs, () => {
      if (!this.#isStopped) end();
    });
    this.#note("stop", member);
  }

  #pause(member: SimMember): void {
    const { process } = member;
    if (process === null || process.isPaused) return;
    const pauseMs = this.#aWhile();
    process.pause();
    this.#world.time.plan(pauseMs, () => process.resume());
    this.#world.paused(pauseMs);
    this.#note("pause", member);
  }

  #hurtDisk(kind: "slowDisk" | "hangDisk" | "fullDisk", member: SimMember): void {
    const lanes = [member.lane, member.imageLane];
    const slowness = kind === "slowDisk" ? this.#random.pick([3, 20, 100]) : 1;
    for (const lane of lanes) {
      if (kind === "slowDisk") lane.slowness = slowness;
      if (kind === "hangDisk") lane.isHung = true;
      if (kind === "fullDisk") lane.isFull = true;
    }
    this.#later(() => {
      for (const lane of lanes) {
        if (kind === "slowDisk") lane.slowness = 1;
        if (kind === "hangDisk") lane.release();
        if (kind === "fullDisk") lane.isFull = false;
      }
    });
    this.#note(kind, member);
  }

  #rot(kind: "rotLog" | "rotImage", member: SimMember): void {
    if (!this.#world.atlas.mayDamage(member.id, this.#world.memberships())) return;
    this.#world.crash(member, true);
    if (kind === "rotLog" && !this.#world.rotLog(member)) return this.#startLater(member);
    if (kind === "rotImage") this.#world.rotImage(member);
    this.#world.atlas.damage(member.id, "rotten");
    this.#startLater(member);
    this.#note(kind, member);
  }

  /** Whoever is down comes back elsewhere, too, when it does. */
  #readdress(member: SimMember): void {
    const { isDown } = member;
    this.#world.relocations.move(member);
    if (!isDown) this.#startLater(member);
  }

  #replaceDisk(member: SimMember): string {
    if (this.#weights.some(([, kind]) => kind === "readdress")) this.#world.relocations.replacing(member);
    return this.#world.replaceDisk(member);
  }

  #wipe(member: SimMember): void {
    if (!this.#world.atlas.mayDamage(member.id, this.#world.memberships())) return;
    this.#world.atlas.damage(member.id, "replaced");
    const incarnation = this.#replaceDisk(member);
    this.#world.operator.pursue({
      id: member.id,
      incarnation,
      reached: () => {
        this.#world.atlas.repair(member.id);
        this.#world.replaced(member);
      },
    });
    this.#note("wipe", member);
    this.#world.replacing(member);
  }

  #transfer(member: SimMember): void {
    const to = this.#random.chance(0.5) ? null : this.#random.pick(this.#world.members()).id;
    askToHandOver(member, to);
    this.#note("transfer", member);
  }

  /** Removes a healthy member and takes it back later, with an empty disk: whoever was removed has to join anew. */
  #changeMembership(member: SimMember): void {
    const { atlas, operator } = this.#world;
    const memberships = this.#world.memberships();
    const isSafe = memberships.every((membership) => atlas.mayRemove(member.id, membership));
    if (operator.isBusy || atlas.size > 0 || !isSafe) return;
    operator.pursue({
      id: member.id,
      incarnation: null,
      reached: () => {
        atlas.damage(member.id, "replaced");
        const comeBack = (): void => {
          const incarnation = this.#replaceDisk(member);
          operator.pursue({ id: member.id, incarnation, reached: () => atlas.repair(member.id) });
        };
        this.#later(comeBack);
      },
    });
    this.#note("membership", member);
  }
}
