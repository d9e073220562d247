/**
 * Where members say that they are reached. Nothing is dialled in a simulated network: what counts is what the membership says, and who
 * had it said.
 */

import type { NodeId } from "../../../src/raft/types.ts";

export interface Addresses {
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** As the founding membership has it. */
export function addressesAsFounded(id: NodeId): Addresses {
  return { peerUrl: `http://${id}:7501`, clientUrl: `http://${id}:7401` };
}

/** What an operator writes when a member is added. */
export function addressesAsAdded(id: NodeId): Addresses {
  return { peerUrl: `http://${id}`, clientUrl: `http://${id}` };
}

/** Unlike any that the member, or another, had before. */
export function addressesAfter(moves: number, id: NodeId): Addresses {
  return { peerUrl: `http://${id}.${moves}:7501`, clientUrl: `http://${id}.${moves}:7401` };
}

export function areEqual(one: Addresses, other: Addresses): boolean {
  return one.peerUrl === other.peerUrl && one.clientUrl === other.clientUrl;
}
