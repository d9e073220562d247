/**
 * Invariant: each committed membership is one step from the one before it: somebody comes, goes, votes from now on or no longer, or is
 * reached elsewhere, or a joint membership is left. Nobody becomes another incarnation without having gone, and whoever is
 * reached elsewhere has been started there.
 */

import type { Member, Membership, NodeId } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import { areEqual, type Addresses } from "../world/addresses.ts";

const checker = "membership";

export class MembershipSteps {
  readonly #violate: Violate;
  #last: Membership | null = null;
  /** Where each incarnation was ever started. */
  readonly #startedAt = new Map<string, Addresses[]>();

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  started({
    id,
    incarnation,
    addresses,
  }: Pick<Member, "id" | "incarnation"> & { addresses: Addresses }): void {
    const startedAt = this.#startedAt.get(nameOf(id, incarnation)) ?? [];
    if (!startedAt.some((each) => areEqual(each, addresses)))
      this.#startedAt.set(nameOf(id, incarnation), [...startedAt, addresses]);
  }

  committed(after: Membership): void {
    const before = this.#last;
    this.#last = after;
    if (before === null) return;
    const moved = after.members.filter((member) => this.#hasMoved(before, member));
    const steps = stepsBetween(before, after, moved);
    const expected = before.outgoing.length > 0 ? 0 : 1;
    if (steps.length === expected && isJointAfter(steps) === after.outgoing.length > 0) return;
    this.#violate(
      checker,
      `${told(before)} was followed by ${told(after)}: ${steps.join(", ") || "nothing"}`,
    );
  }

  #hasMoved(before: Membership, member: Member): boolean {
    const { id, incarnation } = member;
    const old = before.members.find((each) => each.id === id);
    if (old === undefined) return false;
    if (old.incarnation !== incarnation)
      this.#violate(checker, `${id} became ${incarnation}, and was ${old.incarnation} until then`);
    if (areEqual(old, member)) return false;
    const startedAt = this.#startedAt.get(nameOf(id, incarnation)) ?? [];
    if (!startedAt.some((each) => areEqual(each, member)))
      this.#violate(
        checker,
        `${id} ${incarnation} is to be reached at ${member.peerUrl}, where it never was`,
      );
    return true;
  }
}

/** What differs, apart from what leaving a joint membership does to those who only were in its outgoing half. */
function stepsBetween(before: Membership, after: Membership, moved: readonly Member[]): readonly string[] {
  const stayed = before.outgoing.filter((id) => !before.voters.includes(id));
  const went = without(idsOf(before), idsOf(after)).filter((id) => !stayed.includes(id));
  return [
    ...moved.map(({ id }) => `${id} moved`),
    ...without(idsOf(after), idsOf(before)).map((id) => `${id} came`),
    ...went.map((id) => `${id} went`),
    ...without(after.voters, before.voters).map((id) => `${id} votes`),
    ...without(before.voters, after.voters).map((id) => `${id} votes no longer`),
  ];
}

function isJointAfter(steps: readonly string[]): boolean {
  return steps.some((step) => step.includes("votes"));
}

function idsOf({ members }: Membership): readonly NodeId[] {
  return members.map(({ id }) => id);
}

function without(ids: readonly NodeId[], others: readonly NodeId[]): readonly NodeId[] {
  return ids.filter((id) => !others.includes(id));
}

function nameOf(id: NodeId, incarnation: string): string {
  return `${id} ${incarnation}`;
}

function told({ voters, outgoing, learners }: Membership): string {
  const joint = outgoing.length > 0 ? ` from [${outgoing.join(" ")}]` : "";
  return `[${voters.join(" ")}]${joint} and [${learners.join(" ")}]`;
}
