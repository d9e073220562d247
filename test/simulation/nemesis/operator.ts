/**
 * The person who runs the cluster: replaces members whose disks were wiped, and now and then removes a member and adds it again. Like a
 * person it looks at the membership, takes the next step, and does so again until what it wants is there.
 */

import type { MembershipChange } from "../../../src/raft/io.ts";
import type { Membership, NodeId } from "../../../src/raft/types.ts";
import type { AdminEnd } from "../../../src/replica/admin.ts";
import type { RollcallError } from "../../../src/lib/errors.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Gateway } from "../clients/gateway.ts";
import type { Random } from "../random.ts";
import { addressesAsAdded } from "../world/addresses.ts";
import type { SimMember } from "../world/member.ts";

export interface Goal {
  readonly id: NodeId;
  /** The incarnation that is to be a voter; null when the id is to be gone. */
  readonly incarnation: string | null;
  readonly reached: () => void;
}

export class Operator {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #gateway: Gateway;
  readonly #members: () => readonly SimMember[];
  readonly #membership: () => Membership | null;
  readonly #pauseMs: number;
  #goals: Goal[] = [];
  #isBusy = false;
  #steps = 0;

  constructor(options: {
    readonly time: VirtualTime;
    readonly random: Random;
    readonly gateway: Gateway;
    readonly members: () => readonly SimMember[];
    /** The newest that is committed. */
    readonly membership: () => Membership | null;
    readonly pauseMs: number;
  }) {
    this.#time = options.time;
    this.#random = options.random;
    this.#gateway = options.gateway;
    this.#members = options.members;
    this.#membership = options.membership;
    this.#pauseMs = options.pauseMs;
  }

  /** Whether the membership is about to change. */
  get isBusy(): boolean {
    return this.#goals.length > 0;
  }

  pursue(goal: Goal): void {
    // A member that was wiped again has another incarnation to become.
    this.#goals = this.#goals.filter((other) => other.id !== goal.id);
    this.#goals.push(goal);
    if (!this.#isBusy) this.#next();
  }

  stop(): void {
    this.#goals = [];
  }

  #next(): void {
    const goal = this.#goals[0];
    this.#isBusy = goal !== undefined;
    if (goal === undefined) return;
    const membership = this.#membership();
    const change = membership === null ? null : nextStep(membership, goal);
    if (change === "reached") {
      this.#goals.shift();
      goal.reached();
      return this.#next();
    }
    const again = (): void => this.#time.plan(this.#random.exponential(this.#pauseMs), () => this.#next());
    if (change === null) return again();
    this.#steps += 1;
    const member = this.#random.pick(this.#members());
    const limitMs = this.#pauseMs * 3;
    this.#gateway.call<RollcallError | null>(
      `operator.${this.#steps}`,
      `${change.kind} ${change.id}`,
      member,
      limitMs,
      (answer) => member.replica?.changeMembership(change, limitMs, answer satisfies AdminEnd),
      again,
    );
  }
}

function nextStep(membership: Membership, { id, incarnation }: Goal): MembershipChange | "reached" | null {
  const { voters, outgoing, learners, members } = membership;
  if (outgoing.length > 0) return null;
  const present = members.find((member) => member.id === id);
  if (present === undefined) {
    if (incarnation === null) return "reached";
    return { kind: "addLearner", id, incarnation, ...addressesAsAdded(id) };
  }
  if (present.incarnation !== incarnation) return { kind: "remove", id };
  if (voters.includes(id)) return "reached";
  return learners.includes(id) ? { kind: "promote", id } : null;
}
