/**
 * A candidate whom nobody has heard (`test/raft/testscripts/election/stuck-candidate.txt`). Its leader was late for as long as an election
 * takes, and goes on before a vote is given; but the candidate is in a later term by now. Whoever hears the leader refuses it, and what the
 * leader tells it is out of date: it can only come back if it answers that, so that the leader learns of the term.
 */

import type { Links } from "./world/links.ts";
import type { SimMember } from "./world/member.ts";

/** In longest election timeouts: until somebody asks for votes, and until the others follow their leader again. */
const candidacyMax = 4;
const reunionMax = 3;

export interface Stranding {
  readonly links: Links;
  /** All that are up and whole. */
  readonly members: readonly SimMember[];
  /** The member that all of these follow who vote; null while there is none. */
  readonly leaderOf: (members: readonly SimMember[]) => SimMember | null;
  /** Returns whether it has become true within so many longest election timeouts. */
  readonly comes: (timeouts: number, isTrue: () => boolean) => boolean;
  readonly nowMs: () => number;
  readonly paused: (ms: number) => void;
}

/** Leaves the network healed. Returns whether there is a candidate now in a later term than the leader that all others follow. */
export function strandCandidate({ links, members, leaderOf, comes, nowMs, paused }: Stranding): boolean {
  const leader = leaderOf(members);
  const process = leader?.process ?? null;
  if (leader === null || process === null) return false;
  const candidate = (): SimMember | undefined =>
    members.find(({ core }) => core?.view.role.role === "candidate");
  const sinceMs = nowMs();
  process.pause();
  comes(candidacyMax, () => candidate() !== undefined);
  const stranded = candidate();
  const others = members.filter((member) => member !== stranded);
  if (stranded !== undefined)
    links.split(
      [stranded.id],
      others.map(({ id }) => id),
      "both",
    );
  paused(nowMs() - sinceMs);
  process.resume();
  const isStranded = (): boolean =>
    stranded !== undefined &&
    leaderOf(others) === leader &&
    (stranded.core?.term ?? 0) > (leader.core?.term ?? Infinity);
  const hasCome = stranded !== undefined && comes(reunionMax, isStranded);
  links.heal();
  return hasCome;
}
