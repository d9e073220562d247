/**
 * A member takes its disk for damaged if it is, and only then; it does not forget so with the next start; and until the cluster has given
 * it back what it lost, it gives nobody its vote.
 */

import type { Message } from "../../../src/raft/messages.ts";
import type { NodeId } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

const checker = "damage";

/** `log`: must be noticed. `image`: may be harmless, where the log holds everything. */
type Rot = { readonly where: "log" | "image"; isNoticed: boolean };

export class DamageMarks {
  readonly #violate: Violate;
  readonly #rotten = new Map<NodeId, Rot>();

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  rotted(id: NodeId, where: Rot["where"]): void {
    this.#rotten.set(id, { where, isNoticed: false });
  }

  /** Nothing is wrong with its disk any more: it is another one, or the cluster has taken the member back. */
  healed(id: NodeId): void {
    this.#rotten.delete(id);
  }

  /** About to be killed. If it has begun to record that it is whole, its next start may find either. */
  ending(member: SimMember): void {
    const isBeingRecorded = member.core?.view.node.recovery.isBeingRecorded === true;
    if (isBeingRecorded && this.#rotten.has(member.id)) this.rotted(member.id, "image");
  }

  /** Returns whether the member's memory is whole. */
  started(member: SimMember, why: string | null): boolean {
    const rot = this.#rotten.get(member.id);
    const isRecovering = member.core?.view.node.recovery.isRecovering === true;
    if (isRecovering && rot === undefined)
      this.#violate(
        checker,
        `${member.id} takes its disk for damaged, and it never was: ${why ?? "it does not say why"}`,
      );
    if (!isRecovering && rot?.isNoticed === true)
      this.#violate(checker, `${member.id} has forgotten that its disk was damaged`);
    if (!isRecovering && rot?.where === "log")
      this.#violate(checker, `${member.id} has not noticed that its log is damaged`);
    if (rot !== undefined) rot.isNoticed = isRecovering;
    if (!isRecovering) this.healed(member.id);
    return !isRecovering;
  }

  sending(member: SimMember, message: Message): void {
    if (
      (message.type === "voteReply" || message.type === "preVoteReply") &&
      message.granted &&
      this.#rotten.has(member.id)
    )
      this.#violate(
        checker,
        `${member.id} gave ${message.to} its ${message.type} in term ${message.term} while its memory was not whole`,
      );
  }
}
