/**
 * Whether every watch in the whole cluster has been sent a revision: what a drain waits for before it says that nobody is left who
 * could still pick the instance.
 */

import type { NodeId } from "../raft/types.ts";
import type { PeerNetwork } from "./ports.ts";

/** Calls back when every watch open on one member has been sent `revision`, with false when that took longer than `budgetMs`. */
export type WatchProgress = (revision: number, budgetMs: number, end: (reached: boolean) => void) => void;

export interface ClusterWatchProgressOptions {
  readonly peers: PeerNetwork;
  readonly otherMembers: () => readonly NodeId[];
  readonly self: NodeId;
}

export class ClusterWatchProgress {
  readonly #options: ClusterWatchProgressOptions;
  /** Until HTTP says how its watches do, there are none. */
  local: WatchProgress = (_revision, _budgetMs, end) => end(true);

  constructor(options: ClusterWatchProgressOptions) {
    this.#options = options;
  }

  /** Ends with the members that were not done, or could not be asked, in `budgetMs`; empty when all were. Sorted by id. */
  await(revision: number, budgetMs: number, end: (waitingFor: readonly NodeId[]) => void): void {
    const { self, peers } = this.#options;
    const others = this.#options.otherMembers();
    const waitingFor = new Set([self, ...others]);
    let open = waitingFor.size;
    const answered = (id: NodeId, reached: boolean): void => {
      open -= 1;
      if (reached) waitingFor.delete(id);
      if (open === 0) end([...waitingFor].sort());
    };
    for (const id of others) {
      peers.request(id, { kind: "awaitWatches", revision, budgetMs }, budgetMs, (outcome) => {
        answered(id, outcome.kind === "reply" && outcome.reply.kind === "watches" && outcome.reply.reached);
      });
    }
    this.local(revision, budgetMs, (reached) => answered(self, reached));
  }
}
