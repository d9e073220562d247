/**
 * How a role asks to become another one. Roles do not know each other; the core does.
 *
 * A role that calls one of these is over: it must return at once and touch nothing.
 */

import type { NodeId, Term } from "./types.ts";

export interface Transitions {
  /** Follows `leader`, or waits for one when null. `term` is the current one or a higher one. */
  becomeFollower(options: {
    readonly term: Term;
    readonly leader: NodeId | null;
    readonly reason: string;
  }): void;
  /** Asks whether an election could be won, without disturbing anybody (thesis §9.6). */
  becomePreCandidate(): void;
  /** Starts an election. `transfer`: the leader asked for it. */
  becomeCandidate(options: { readonly transfer: boolean }): void;
  /** Leads: the election of the current term was won. */
  becomeLeader(): void;
}
