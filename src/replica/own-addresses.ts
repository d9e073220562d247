/**
 * Keeps what the membership says of this member's addresses true: a member that comes back elsewhere proposes it, as often as it takes.
 *
 * Each member speaks for itself alone, and only as the incarnation that the membership names: one that was replaced, or is none, says nothing.
 */

import { memberOf } from "../raft/membership.ts";
import type { Membership, NodeId } from "../raft/types.ts";
import type { Scheduler } from "./ports.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaSettings } from "./settings.ts";

export interface OwnAddressesOptions {
  readonly self: {
    readonly id: NodeId;
    readonly incarnation: string;
    readonly peerUrl: string;
    readonly clientUrl: string;
  };
  readonly replica: Pick<Replica, "membership" | "leader" | "changeMembership">;
  readonly settings: Pick<ReplicaSettings, "announceTimeoutMs" | "announceRetryMs">;
  readonly scheduler: Pick<Scheduler, "after">;
  readonly announced: () => void;
}

export class OwnAddresses {
  readonly #options: OwnAddressesOptions;
  #isWaiting = false;

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
  }

  /** Proposes the addresses if they are not what the membership says. Once a tick; most find nothing to do. */
  tick(): void {
    const { self, replica, settings, scheduler, announced } = this.#options;
    if (this.#isWaiting || replica.leader() === null || !this.#hasMoved(replica.membership)) return;
    this.#isWaiting = true;
    replica.changeMembership({ kind: "readdress", ...self }, settings.announceTimeoutMs, (error) => {
      if (error === null) announced();
      scheduler.after(settings.announceRetryMs, () => (this.#isWaiting = false));
    });
  }

  #hasMoved(membership: Membership): boolean {
    const { id, incarnation, peerUrl, clientUrl } = this.#options.self;
    const listed = memberOf(membership, id);
    if (listed?.incarnation !== incarnation) return false;
    return listed.peerUrl !== peerUrl || listed.clientUrl !== clientUrl;
  }
}
