/**
 * What the first start of a cluster needs from the network (DESIGN: bootstrap cannot fork a cluster): ask a listed member who it is, and
 * get its promise. There is no third question: who has promised learns from `identity` of any member of the new cluster that it exists,
 * so that a commit cannot be lost, repeated or come late. `transport/bootstrap-client.ts` implements the asking side,
 * `transport/bootstrap-routes.ts` serves the other; `bootstrap.ts` holds the rules.
 *
 * Every question may be repeated: the answering side must give the same answer to the same question, because an answer may be lost.
 * Promises are allowed here: nothing of this runs once the cluster exists, but for `identity`.
 */

import type { Index, Membership, NodeId } from "../raft/types.ts";

/** Who a member is, and how far its first start has come. */
export interface BootstrapIdentity {
  readonly memberId: NodeId;
  readonly incarnation: string;
  /** Where the others reach it; goes into the first membership. */
  readonly peerUrl: string;
  /** Where clients reach it; goes into the first membership. */
  readonly clientUrl: string;
  /** Null while the member belongs to no cluster. */
  readonly clusterId: string | null;
  /** The cluster that it has durably promised to join, while it belongs to none. Such a member still counts as empty. */
  readonly promisedClusterId: string | null;
  /** The membership in force as this member knows it; null while it belongs to no cluster or knows of none yet. */
  readonly membership: Membership | null;
  /** The index of the entry that carries `membership`; 1 while it is still the one that founded the cluster. 0 with null. */
  readonly membershipIndex: Index;
}

/** "Will you join the cluster that I have minted?" */
export interface PromiseQuestion {
  readonly clusterId: string;
  readonly minter: { readonly id: NodeId; readonly incarnation: string };
  /** The promise that the minter saw and means to replace; null for none. Refused if it is another by now: an old question must do nothing. */
  readonly replaces: string | null;
  /** The list that the minter was started with, in its order. */
  readonly members: readonly { readonly id: NodeId; readonly peerUrl: string }[];
}

export type PromiseAnswer =
  /** Durable before it was sent. */
  | { readonly promised: true; readonly incarnation: string }
  /** `reason`: one sentence for the operator. */
  | { readonly promised: false; readonly reason: string };

/** The answering side. A rejection is answered with status 500 and ends nothing. */
export interface BootstrapHandler {
  identity(): BootstrapIdentity;
  promise(question: PromiseQuestion): Promise<PromiseAnswer>;
}

export type BootstrapOutcome<Answer> =
  | { readonly kind: "answer"; readonly answer: Answer }
  /** No answer: down, not started yet, or the connection broke after the question was sent. Ask again. */
  | { readonly kind: "unreachable"; readonly reason: string }
  /** Somebody answered who does not talk to this member: another member behind the address, another secret, no common protocol version. */
  | { readonly kind: "refused"; readonly reason: string };

/** Whom to ask: a line of the configured list. Whoever answers with another id is `refused`. */
export interface BootstrapPeer {
  readonly id: NodeId;
  readonly peerUrl: string;
}

/** The asking side. Never rejects. */
export interface BootstrapClient {
  identity(peer: BootstrapPeer): Promise<BootstrapOutcome<BootstrapIdentity>>;
  promise(peer: BootstrapPeer, question: PromiseQuestion): Promise<BootstrapOutcome<PromiseAnswer>>;
}
