/** The orders in which discovery can list instances. All start from the list sorted by id, and keep exactly its instances. */

import { effective, type Instance } from "../registry/model.ts";
import type { Order } from "./schemas.ts";

/** How many lists keep their place; the one not asked for longest is forgotten, and starts again at its first instance. */
const listsRememberedMax = 10_000;

/** Counts how often each list was answered, so that `order=roundRobin` starts one further each time. */
export class Rotation {
  readonly #next = new Map<string, number>();

  /** 0, 1, 2, ... for each list. */
  turn(list: string): number {
    const turn = this.#next.get(list) ?? 0;
    this.#next.delete(list);
    this.#next.set(list, turn + 1);
    if (this.#next.size > listsRememberedMax) this.#next.delete(this.#next.keys().next().value ?? "");
    return turn;
  }
}

export interface OrderInput {
  readonly order: Order;
  /** For `near`: the zone to list first. */
  readonly nearZone: string | null;
  /** For `roundRobin`: the turn of this list. */
  readonly turn: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** @param instances Sorted by id. */
export function ordered(instances: readonly Instance[], input: OrderInput): readonly Instance[] {
  switch (input.order) {
    case "id":
      return instances;
    case "random":
      return sortedBy(instances, () => input.random());
    case "weighted":
      return weighted(instances, input.random);
    case "roundRobin":
      return rotated(instances, input.turn());
    case "near":
      return nearFirst(instances, input);
  }
}

/**
 * Each place is drawn from those that remain, with chances in proportion to their weights: sorting by ln(u) / weight, largest first, does
 * that in one pass (Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir"). Weight 0 comes after all others.
 */
function weighted(instances: readonly Instance[], random: () => number): Instance[] {
  return sortedBy(instances, (instance) => {
    const { weight } = effective(instance);
    // 1 - random() is in (0, 1], where the logarithm is finite.
    return weight === 0 ? Number.POSITIVE_INFINITY : -Math.log(1 - random()) / weight;
  });
}

function rotated(instances: readonly Instance[], turn: number): Instance[] {
  const start = instances.length === 0 ? 0 : turn % instances.length;
  return [...instances.slice(start), ...instances.slice(0, start)];
}

/** Those of the zone first; both parts in random order, or every client would go to the same first one. */
function nearFirst(instances: readonly Instance[], { nearZone, random }: OrderInput): Instance[] {
  return sortedBy(instances, (instance) => (effective(instance).zone === nearZone ? 0 : 1) + random());
}

/** Draws one key for each instance. */
function sortedBy(instances: readonly Instance[], key: (instance: Instance) => number): Instance[] {
  return instances
    .map((instance) => ({ instance, rank: key(instance) }))
    .sort((left, right) => (left.rank < right.rank ? -1 : left.rank > right.rank ? 1 : 0))
    .map(({ instance }) => instance);
}
