/**
 * What two members tell each other about themselves at the head of every request and of every answer, and who is let in.
 *
 * It travels in HTTP headers, so that a stranger is refused before a byte of a body is read.
 */

import type { IncomingHttpHeaders } from "node:http";
import { isAtLeast } from "../raft/entry.ts";
import type { EntryId, NodeId } from "../raft/types.ts";

/** The protocol versions that a build speaks; two members use the highest that both do. */
export interface ProtocolRange {
  readonly min: number;
  readonly max: number;
}

/** Raised at `max` when the frames or routes change; `min` follows when the version before is no longer understood. */
export const protocolRange: ProtocolRange = { min: 1, max: 1 };

/** Who this member is. */
export interface Identity {
  readonly id: NodeId;
  readonly incarnation: string;
  /** Null while it belongs to no cluster. */
  readonly clusterId: string | null;
  /** Where in its log the membership stands that it goes by; `noEntry` before it knows any. */
  readonly membershipAt: EntryId;
  /** Version of the build, for people and for `connection()`. */
  readonly version: string;
  readonly protocol: ProtocolRange;
}

/** An identity, and whom its sender believes to be talking to. */
export interface Handshake extends Identity {
  readonly toId: NodeId;
  /** Null: any; the sender knows only an address and an id. */
  readonly toIncarnation: string | null;
}

export const headerNames = {
  protocol: "rollcall-protocol",
  cluster: "rollcall-cluster",
  from: "rollcall-from",
  fromIncarnation: "rollcall-from-incarnation",
  to: "rollcall-to",
  toIncarnation: "rollcall-to-incarnation",
  membership: "rollcall-membership",
  version: "rollcall-version",
  nonce: "rollcall-nonce",
  proof: "rollcall-proof",
} as const;

/** Stands for a cluster id or incarnation that there is none of. */
const none = "-";

export function handshakeHeaders(handshake: Handshake): Record<string, string> {
  return {
    [headerNames.protocol]: `${handshake.protocol.min}-${handshake.protocol.max}`,
    [headerNames.cluster]: handshake.clusterId ?? none,
    [headerNames.from]: handshake.id,
    [headerNames.fromIncarnation]: handshake.incarnation,
    [headerNames.to]: handshake.toId,
    [headerNames.toIncarnation]: handshake.toIncarnation ?? none,
    [headerNames.membership]: `${handshake.membershipAt.term}-${handshake.membershipAt.index}`,
    [headerNames.version]: handshake.version,
  };
}

/** Null when a header is missing or malformed: whoever sent this is no member. */
export function readHandshake(headers: IncomingHttpHeaders): Handshake | null {
  const protocol = /^(\d{1,6})-(\d{1,6})$/.exec(readWord(headers, headerNames.protocol) ?? "");
  // As many digits as surely make a safe integer.
  const membership = /^(\d{1,15})-(\d{1,15})$/.exec(readWord(headers, headerNames.membership) ?? "");
  const clusterId = readWord(headers, headerNames.cluster);
  const id = readWord(headers, headerNames.from);
  const incarnation = readWord(headers, headerNames.fromIncarnation);
  const toId = readWord(headers, headerNames.to);
  const toIncarnation = readWord(headers, headerNames.toIncarnation);
  const version = readWord(headers, headerNames.version);
  if (
    protocol === null ||
    membership === null ||
    clusterId === null ||
    id === null ||
    incarnation === null ||
    toId === null ||
    toIncarnation === null ||
    version === null
  ) {
    return null;
  }
  return {
    protocol: { min: Number(protocol[1]), max: Number(protocol[2]) },
    clusterId: clusterId === none ? null : clusterId,
    membershipAt: { term: Number(membership[1]), index: Number(membership[2]) },
    id,
    incarnation,
    toId,
    toIncarnation: toIncarnation === none ? null : toIncarnation,
    version,
  };
}

/** One word of printable ASCII, as all our names are; bounded, because it ends up in logs. */
export function readWord(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === "string" && isWord(value) ? value : null;
}

export function isWord(value: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(value);
}

export type RefusalCode =
  | "malformed"
  | "unauthenticated"
  | "no_common_protocol"
  | "wrong_member"
  | "wrong_incarnation"
  | "unknown_incarnation"
  | "wrong_cluster"
  | "not_ready"
  | "overloaded"
  | "no_such_snapshot";

/** Why a request was not handled, at all. `detail` continues a sentence that begins with the refusing member. */
export interface Refusal {
  readonly status: number;
  readonly code: RefusalCode;
  readonly detail: string;
}

export interface Expectation {
  /** Whether only members of the same cluster may ask. The routes of the first start are also for those without one. */
  readonly sameCluster: boolean;
  /** The incarnation under which the membership knows the asker; null when it does not know it. */
  readonly knownIncarnation: string | null;
}

/** One of two members that are about to talk: who it is, and by which membership it judges the other. */
export type Party = Pick<Identity, "incarnation" | "membershipAt">;

/**
 * Whether `judge`, whose membership holds `known` under the other's id, may take `other` for that member. Whoever goes by an older membership
 * cannot tell a replaced member from a false one, and believes it: otherwise it would refuse the very leader from whom it would learn of the
 * replacement. Why the wrong one is never believed: README.md, "Replaced members".
 */
export function takesForMember(judge: Party, known: string | null, other: Party): boolean {
  return known === null || known === other.incarnation || !isAtLeast(judge.membershipAt, other.membershipAt);
}

/** Whether `asker` may ask `self`; null for yes. */
export function checkAsker(asker: Handshake, self: Identity, expected: Expectation): Refusal | null {
  if (commonProtocol(asker.protocol, self.protocol) === null) {
    const detail = `it speaks protocol versions ${range(self.protocol)}, this member ${range(asker.protocol)}: upgrade the older one`;
    return { status: 412, code: "no_common_protocol", detail };
  }
  if (asker.toId !== self.id) {
    const detail = `it is member ${self.id}, not ${asker.toId}: check the list of members`;
    return { status: 409, code: "wrong_member", detail };
  }
  if (expected.sameCluster && asker.clusterId !== self.clusterId) {
    const detail = `it belongs to ${clusterName(self.clusterId)}, this member to ${clusterName(asker.clusterId)}`;
    return { status: 409, code: "wrong_cluster", detail };
  }
  if (!takesForMember(asker, asker.toIncarnation, self)) {
    const detail = `it is incarnation ${short(self.incarnation)} of ${self.id}, and the membership holds ${short(asker.toIncarnation ?? none)}: its data folder was replaced`;
    return { status: 409, code: "wrong_incarnation", detail };
  }
  if (!takesForMember(self, expected.knownIncarnation, asker)) {
    const detail = `the membership holds incarnation ${short(expected.knownIncarnation ?? none)} of ${asker.id}, and this member is ${short(asker.incarnation)}: its data folder was replaced`;
    return { status: 403, code: "unknown_incarnation", detail };
  }
  return null;
}

/** Whom this member means to talk to. */
export interface Expected {
  readonly id: NodeId;
  /** Null while only the address and the id are known. */
  readonly incarnation: string | null;
}

/** What is wrong with the member that answered, in the words of a refusal; null for nothing. */
export function checkAnswerer(
  answerer: Handshake,
  self: Identity,
  expected: Expected & { readonly sameCluster: boolean },
): string | null {
  // The same rules from the other side: it is as if the answerer had asked this member under the name that was expected of it.
  const mirrored: Handshake = {
    ...self,
    toId: expected.id,
    toIncarnation: expected.incarnation,
  };
  const refusal = checkAsker(mirrored, answerer, {
    sameCluster: expected.sameCluster,
    knownIncarnation: null,
  });
  return refusal?.detail ?? null;
}

/** The highest version that both speak, or null. */
export function commonProtocol(one: ProtocolRange, other: ProtocolRange): number | null {
  const version = Math.min(one.max, other.max);
  return version >= Math.max(one.min, other.min) ? version : null;
}

function range({ min, max }: ProtocolRange): string {
  return min === max ? `${min}` : `${min} to ${max}`;
}

function clusterName(clusterId: string | null): string {
  return clusterId === null ? "no cluster yet" : `cluster ${short(clusterId)}`;
}

/** Enough of a random id to recognise it. */
function short(id: string): string {
  return id.length <= 8 ? id : `${id.slice(0, 8)}...`;
}
