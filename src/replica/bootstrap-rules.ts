/**
 * How a member that belongs to no cluster comes to belong to one: the rules, without network or disk. `bootstrap.ts` carries them out.
 *
 * Only the first member of the list mints a cluster id. It asks for promises once every listed member is reachable and empty, and founds
 * the cluster by writing the first entry when all have promised. The others learn of it by asking. Two clusters cannot come of this:
 *
 * 1. A member joins a cluster only while that cluster is its current promise (or while it has made none).
 * 2. An id is minted after its minter saw what the others had promised, and replaces only what was seen then. So on every member promises
 *    follow one another in the order of their minting, and of two founded ids each would have to be older than the other.
 */

import type { Member, Membership, NodeId } from "../raft/types.ts";
import type {
  BootstrapIdentity,
  BootstrapOutcome,
  BootstrapPeer,
  PromiseQuestion,
} from "./bootstrap-port.ts";

/** This member, as far as its disk knows. */
export interface OwnIdentity {
  readonly memberId: NodeId;
  readonly incarnation: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
  readonly clusterId: string | null;
  readonly promisedClusterId: string | null;
}

/** What one member answered in this round. */
export interface Seen {
  readonly peer: BootstrapPeer;
  readonly outcome: BootstrapOutcome<BootstrapIdentity>;
}

export interface Round {
  readonly own: OwnIdentity;
  /** All members of the list, this one included, in the operator's order; empty when it waits to be added to a running cluster. */
  readonly list: readonly BootstrapPeer[];
  /** One for each listed member but this one, or for each member of the cluster that it waits to be added to. */
  readonly seen: readonly Seen[];
  /** What each had promised when this member minted the id that it stands for. */
  readonly mintedOver: ReadonlyMap<NodeId, string | null>;
}

export interface Question {
  readonly peer: BootstrapPeer;
  /** What it has promised so far. */
  readonly replaces: string | null;
}

export type Step =
  /** Nothing to do before others are there, or have done their part. */
  | { readonly kind: "wait"; readonly why: string }
  /** Ask these for their promise; with `mint`, to a new cluster id that this member draws and promises first. */
  | { readonly kind: "ask"; readonly mint: boolean; readonly questions: readonly Question[] }
  /** All have promised: write the first entry. */
  | { readonly kind: "found"; readonly membership: Membership }
  /** The cluster exists and this member belongs to it. `founding`: the first membership, where nothing has changed since; else the log brings it. */
  | { readonly kind: "adopt"; readonly clusterId: string; readonly founding: Membership | null }
  /** The cluster exists and knows another incarnation of this member: its disk was lost. Only an operator may replace it. */
  | { readonly kind: "wiped"; readonly via: BootstrapIdentity }
  /** The cluster exists and does not know this member. */
  | { readonly kind: "notMember"; readonly via: BootstrapIdentity };

export function nextStep(round: Round): Step {
  const answers = round.seen.flatMap(({ outcome }) => (outcome.kind === "answer" ? [outcome.answer] : []));
  const founded = answers.filter((answer) => answer.clusterId !== null);
  if (founded.length > 0) return joinFounded(round, founded);

  if (round.list.length === 0) return { kind: "wait", why: "no member of the cluster answers" };
  const missing = round.seen.filter(({ outcome }) => outcome.kind !== "answer");
  if (missing.length > 0) return { kind: "wait", why: missingInWords(round, missing) };
  const minter = round.list[0];
  if (minter?.id !== round.own.memberId) {
    return {
      kind: "wait",
      why: `all ${round.list.length} found; waiting for ${minter?.id} to found the cluster`,
    };
  }
  return foundTogether(round, answers);
}

/** All listed members answered, and all are empty. */
function foundTogether(round: Round, others: readonly BootstrapIdentity[]): Step {
  const { own, mintedOver } = round;
  const isForeign = (other: BootstrapIdentity): boolean =>
    other.promisedClusterId !== null &&
    other.promisedClusterId !== own.promisedClusterId &&
    other.promisedClusterId !== mintedOver.get(other.memberId);
  const mint = own.promisedClusterId === null || others.some(isForeign);
  const questions = round.seen.flatMap(({ peer, outcome }) => {
    const replaces = outcome.kind === "answer" ? outcome.answer.promisedClusterId : null;
    return mint || replaces !== own.promisedClusterId ? [{ peer, replaces }] : [];
  });
  if (mint || questions.length > 0) return { kind: "ask", mint, questions };
  return { kind: "found", membership: foundingMembership([own, ...others]) };
}

function foundingMembership(
  identities: readonly Pick<BootstrapIdentity, "memberId" | "incarnation" | "peerUrl" | "clientUrl">[],
): Membership {
  const members: readonly Member[] = identities
    .map(({ memberId, incarnation, peerUrl, clientUrl }) => ({
      id: memberId,
      incarnation,
      peerUrl,
      clientUrl,
    }))
    .sort((left, right) => (left.id < right.id ? -1 : 1));
  return { voters: members.map(({ id }) => id), outgoing: [], learners: [], members };
}

/** Somebody belongs to a cluster already, so nobody mints any more. */
function joinFounded({ own }: Round, founded: readonly BootstrapIdentity[]): Step {
  const clusters = new Set(founded.map((one) => one.clusterId));
  if (clusters.size > 1) {
    const words = founded.map((one) => `${one.memberId} to ${one.clusterId}`).join(", ");
    return {
      kind: "wait",
      why: `the listed members belong to different clusters (${words}): correct the list`,
    };
  }
  const informed = founded.filter((one) => one.membership !== null);
  const lists = (one: BootstrapIdentity): Member | undefined =>
    one.membership?.members.find((member) => member.id === own.memberId);
  // Any one that knows this incarnation is enough: the others may be behind.
  const via = informed.find((one) => lists(one)?.incarnation === own.incarnation);
  if (via !== undefined) return adopt(own, via);
  const witness = informed[0];
  if (witness === undefined) return { kind: "wait", why: "the cluster's members are still starting" };
  return informed.some(lists) ? { kind: "wiped", via: witness } : { kind: "notMember", via: witness };
}

function adopt(own: OwnIdentity, via: BootstrapIdentity): Step {
  const clusterId = via.clusterId ?? "";
  if (own.promisedClusterId !== null && own.promisedClusterId !== clusterId) {
    // The cluster was founded with this member's earlier promise; a later one, to a minter that has lost its disk, cannot be kept.
    return {
      kind: "wait",
      why: `${via.memberId} belongs to cluster ${clusterId}, and this member has since promised ${own.promisedClusterId}, whose founder lost its data: empty this member's data folder and replace it`,
    };
  }
  const isFounder = own.promisedClusterId === clusterId && via.membershipIndex === 1;
  return { kind: "adopt", clusterId, founding: isFounder ? via.membership : null };
}

function missingInWords({ list }: Round, missing: readonly Seen[]): string {
  const reasons = missing.map(({ peer, outcome }) => (outcome.kind === "answer" ? peer.id : outcome.reason));
  return `${list.length - missing.length} of ${list.length} found; ${reasons.join("; ")}`;
}

/** Why a question for a promise is refused whatever was promised before; null when it may be considered. */
export function refusal(
  own: OwnIdentity,
  list: readonly BootstrapPeer[],
  question: PromiseQuestion,
): string | null {
  if (own.clusterId !== null) return `${own.memberId} already belongs to cluster ${own.clusterId}`;
  if (question.minter.id === own.memberId)
    return `${own.memberId} itself founds the cluster: two processes have this name`;
  const theirs = question.members.map(({ id }) => id);
  const ours = list.map(({ id }) => id);
  const isSameList = theirs.length === ours.length && ours.every((id) => theirs.includes(id));
  if (!isSameList || theirs[0] !== ours[0] || question.minter.id !== ours[0]) {
    const listed = ours.length === 0 ? "no --members" : `--members ${ours.join(", ")}`;
    return `${own.memberId} was started with ${listed}, but ${question.minter.id} with --members ${theirs.join(", ")}; the list must be the same, with the same member first`;
  }
  if (own.promisedClusterId !== question.replaces) {
    return `${own.memberId} has promised something else since it was asked`;
  }
  return null;
}
