/**
 * Watch: each change exactly once, in order of revision, whichever member the watch goes on at; or, where the gap cannot be filled any
 * more, a snapshot that is no older than what was seen before.
 */

import type { RegistryEvent } from "../../../src/registry/commands.ts";
import type { Replica } from "../../../src/replica/replica.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import { describe, type AgreedState } from "../checkers/agreed-state.ts";
import type { Random } from "../random.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

const checker = "watch";

export class Watcher {
  readonly #name: string;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #members: () => readonly SimMember[];
  readonly #state: AgreedState;
  readonly #violate: Violate;
  /** How long it stays at one member, on average. */
  readonly #stayMs: number;
  #cursor = 0;
  #seen = 0;
  #moves = 0;
  #isStopped = false;
  #leave: () => void = () => {};

  constructor(options: {
    readonly name: string;
    readonly time: VirtualTime;
    readonly random: Random;
    readonly members: () => readonly SimMember[];
    readonly state: AgreedState;
    readonly violate: Violate;
    readonly stayMs: number;
  }) {
    this.#name = options.name;
    this.#time = options.time;
    this.#random = options.random;
    this.#members = options.members;
    this.#state = options.state;
    this.#violate = options.violate;
    this.#stayMs = options.stayMs;
  }

  /** The revision up to which it has seen everything. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Changes that it was told of. */
  get seen(): number {
    return this.#seen;
  }

  /** Connects to some member, and after a while to another. */
  start(): void {
    if (this.#isStopped) return;
    this.attachTo(this.#random.pick(this.#members()));
    this.#time.plan(this.#random.exponential(this.#stayMs), () => this.start());
  }

  /** Stays where it is from now on. */
  stop(): void {
    this.#isStopped = true;
  }

  attachTo(member: SimMember): void {
    this.#leave();
    this.#leave = () => {};
    this.#moves += 1;
    const move = this.#moves;
    // A member that stands still may come to it when this watcher has long been elsewhere.
    member.process?.run(() => {
      if (move === this.#moves) this.#attach(member);
    });
  }

  #attach(member: SimMember): void {
    const { replica } = member;
    if (replica === null) return;
    this.#catchUp(member, replica);
    let isAttached = true;
    let { installedIndex } = member;
    const detach = replica.onEvents((events) => {
      if (!isAttached) return;
      const next = events.find(({ revision }) => revision > this.#cursor);
      if (next === undefined) return;
      // An installation tells of so many changes at most; whoever misses more asks, as the hub of the HTTP layer does. Nothing else leaves a gap.
      const hasInstalled = member.installedIndex > installedIndex;
      installedIndex = member.installedIndex;
      if (hasInstalled && next.revision > this.#cursor + 1) this.#catchUp(member, replica);
      else this.#take(member, events);
    });
    this.#leave = () => {
      isAttached = false;
      detach();
      if (member.replica === replica && member.installedIndex === installedIndex)
        this.#mustHaveHeardAll(member, replica);
    };
  }

  /** Whoever stays at a member is told what it applies, as soon as it does. */
  #mustHaveHeardAll({ id }: SimMember, { registry }: Replica): void {
    if (this.#cursor < registry.revision)
      this.#violate(
        checker,
        `${this.#name} leaves ${id}, which is at revision ${registry.revision}, and was told up to ${this.#cursor} only`,
      );
  }

  #catchUp(member: SimMember, { registry }: Replica): void {
    const missed = registry.eventsSince(this.#cursor);
    if (missed === null) this.#reset(member, registry.revision);
    else this.#take(member, missed);
  }

  /** The member remembers too little: its present state stands for everything up to now. */
  #reset(member: SimMember, revision: number): void {
    if (this.#state.mustBeKnownAfter(this.#cursor))
      this.#violate(
        checker,
        `${this.#name} was reset by ${member.id}, which forgot what came after revision ${this.#cursor}`,
      );
    if (revision < this.#cursor)
      this.#violate(
        checker,
        `${this.#name} was reset by ${member.id} from revision ${this.#cursor} to ${revision}`,
      );
    this.#cursor = revision;
  }

  #take(member: SimMember, events: readonly RegistryEvent[]): void {
    for (const event of events) {
      // A member behind the cursor repeats what was seen elsewhere.
      if (event.revision <= this.#cursor) continue;
      if (event.revision !== this.#cursor + 1)
        this.#violate(
          checker,
          `${this.#name} at ${member.id} was told of revision ${event.revision} after ${this.#cursor}`,
        );
      if (this.#state.eventAt(event.revision) !== describe(event))
        this.#violate(
          checker,
          `${this.#name} at ${member.id} was told "${describe(event)}" for revision ${event.revision}`,
        );
      this.#cursor = event.revision;
      this.#seen += 1;
    }
  }
}
