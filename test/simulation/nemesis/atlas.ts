/**
 * Which members' memory is damaged. Raft promises nothing once a majority has lost what it promised, so at any time only a minority of
 * the voters may be damaged, and a damaged one counts as such until the cluster has taken it back.
 */

import type { Membership, NodeId } from "../../../src/raft/types.ts";

/** `rotten`: the member finds its own way back. `replaced`: somebody has to make the new one a voter. */
export type Damage = "rotten" | "replaced";

export class FaultAtlas {
  readonly #damaged = new Map<NodeId, Damage>();

  isDamaged(id: NodeId): boolean {
    return this.#damaged.has(id);
  }

  get size(): number {
    return this.#damaged.size;
  }

  /** Whether this member's disk may be damaged now, by every membership that may be in force. */
  mayDamage(id: NodeId, memberships: readonly Membership[]): boolean {
    if (this.#damaged.has(id)) return false;
    return memberships.every(({ voters, outgoing }) =>
      [voters, outgoing].every((half) => {
        if (!half.includes(id)) return true;
        const damaged = half.filter((each) => this.#damaged.has(each)).length + 1;
        return damaged * 2 < half.length;
      }),
    );
  }

  /** Whether the members that are whole would still be a majority of the voters without this one. */
  mayRemove(id: NodeId, { voters }: Membership): boolean {
    const left = voters.filter((voter) => voter !== id);
    const whole = left.filter((voter) => !this.#damaged.has(voter));
    return left.length > 0 && whole.length * 2 > left.length;
  }

  damage(id: NodeId, damage: Damage): void {
    this.#damaged.set(id, damage);
  }

  isRotten(id: NodeId): boolean {
    return this.#damaged.get(id) === "rotten";
  }

  repair(id: NodeId): void {
    this.#damaged.delete(id);
  }
}
