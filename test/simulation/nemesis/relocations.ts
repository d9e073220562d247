/**
 * Members that come back elsewhere, and announcements of it that come late: a request may be under way for as long as it likes, while its
 * sender moves on, or is replaced.
 */

import type { MembershipChange } from "../../../src/raft/io.ts";
import type { NodeId } from "../../../src/raft/types.ts";
import type { Random } from "../random.ts";
import { addressesAfter, areEqual } from "../world/addresses.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { SimMember } from "../world/member.ts";

/** How long is waited for a change; nobody looks at what came of it. */
const waitMs = 5_000;

/** How often what a member said before it moved is heard late. */
const lateShare = 0.5;

/** About when, in shortest election timeouts: when it may have said the next thing, and when another has taken its place. */
const moveTimeouts = 4;
const replacementTimeouts = 30;

type Announcement = Extract<MembershipChange, { kind: "readdress" }>;

interface RelocationsWorld {
  readonly time: VirtualTime;
  members(): readonly SimMember[];
  crash(member: SimMember, withPower: boolean): void;
  faulted(kind: string, member: NodeId): void;
}

export class Relocations {
  readonly #world: RelocationsWorld;
  readonly #random: Random;
  readonly #unitMs: number;
  #moves = 0;
  #isStopped = false;

  constructor(options: {
    readonly world: RelocationsWorld;
    readonly random: Random;
    /** A shortest election timeout. */
    readonly unitMs: number;
  }) {
    this.#world = options.world;
    this.#random = options.random;
    this.#unitMs = options.unitMs;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Ends the member if it is up. It will be started elsewhere: where nobody was before, or again where it was. */
  move(member: SimMember): void {
    const before = announcementOf(member);
    const { addresses, formerAddresses } = member;
    this.#world.crash(member, this.#random.chance(0.5));
    this.#moves += 1;
    const comesBack = !areEqual(addresses, formerAddresses) && this.#random.chance(0.3);
    member.addresses = comesBack ? formerAddresses : addressesAfter(this.#moves, member.id);
    this.#world.faulted("readdress", member.id);
    if (this.#random.chance(lateShare)) this.#announceLate(before, moveTimeouts);
  }

  /** Before the member's disk is replaced: it may be the new one's turn when this is heard. */
  replacing(member: SimMember): void {
    this.#announceLate(announcementOf(member), replacementTimeouts);
  }

  #announceLate(announcement: Announcement | null, timeouts: number): void {
    if (announcement === null) return;
    this.#world.time.plan(this.#random.exponential(timeouts * this.#unitMs), () => {
      if (this.#isStopped) return;
      const { process, replica } = this.#random.pick(this.#world.members());
      process?.run(() => replica?.changeMembership(announcement, waitMs, () => {}));
    });
  }
}

/** What this member would say of itself now, or may have said; null while it says nothing. */
function announcementOf({ id, incarnation, addresses, replica }: SimMember): Announcement | null {
  return replica === null ? null : { kind: "readdress", id, incarnation, ...addresses };
}
