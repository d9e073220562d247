/** Which member can be heard by which: cuts are one-way, and a partition is a set of them. */

import type { NodeId } from "../../../src/raft/types.ts";
import type { Random } from "../random.ts";

export const partitionShapes = ["isolate", "halves", "ring", "bridge", "oneWay", "deaf"] as const;
export type PartitionShape = (typeof partitionShapes)[number];

export class Links {
  /** By whom: who does not hear them. */
  readonly #cuts = new Map<NodeId, Set<NodeId>>();

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.get(from)?.has(to) === true;
  }

  heal(): void {
    this.#cuts.clear();
  }

  /** Cuts two groups apart: so that neither hears the other, or only the first is deaf (`in`), or only it is not heard (`out`). */
  split(first: readonly NodeId[], second: readonly NodeId[], direction: "both" | "in" | "out"): void {
    for (const a of first) {
      for (const b of second) {
        if (direction !== "in") this.#cutOneWay(a, b);
        if (direction !== "out") this.#cutOneWay(b, a);
      }
    }
  }

  /** `order` decides who is where; whoever comes first is hit by every shape. */
  partition(shape: PartitionShape, order: readonly NodeId[], random: Random): void {
    const [first, second] = order;
    if (first === undefined || second === undefined) return;
    switch (shape) {
      case "isolate":
        return this.#separate([first], order.slice(1));
      case "halves": {
        const middle = random.integer(1, order.length - 1);
        return this.#separate(order.slice(0, middle), order.slice(middle));
      }
      // Each hears only its neighbours: every member has a majority only if there are few of them.
      case "ring":
        return this.#cutWhere(order, (i, j) => Math.min(Math.abs(i - j), order.length - Math.abs(i - j)) > 1);
      // Two sides that both hear one member in the middle, and not each other.
      case "bridge": {
        const middle = 1 + Math.floor((order.length - 1) / 2);
        return this.#separate(order.slice(1, middle), order.slice(middle));
      }
      case "oneWay":
        return this.#cutOneWay(first, second);
      // One that can speak and hears nobody.
      case "deaf":
        for (const other of order.slice(1)) this.#cutOneWay(other, first);
    }
  }

  #separate(one: readonly NodeId[], other: readonly NodeId[]): void {
    this.split(one, other, "both");
  }

  #cutWhere(order: readonly NodeId[], isCut: (i: number, j: number) => boolean): void {
    order.forEach((a, i) => order.forEach((b, j) => i !== j && isCut(i, j) && this.#cutOneWay(a, b)));
  }

  #cutOneWay(from: NodeId, to: NodeId): void {
    const deaf = this.#cuts.get(from);
    if (deaf === undefined) this.#cuts.set(from, new Set([to]));
    else deaf.add(to);
  }
}
