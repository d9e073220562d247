/**
 * A member that was cut off for several elections' time comes back, while the others have a leader all along (thesis §9.6). Without
 * pre-vote it brings a term that nobody knows, and the leader that meets it has to step down.
 */

import { Undisturbed } from "../checkers/undisturbed.ts";
import type { Script, Stage } from "./staged.ts";

export function* returningMember({ world, random, leader, followers }: Stage): Script {
  const { links } = world.network;
  const [away, ...listeners] = followers;
  if (away === undefined || listeners.length === 0) return;
  const undisturbed = new Undisturbed({
    leader,
    listeners,
    others: [away],
    elections: world.checkers.elections,
    violate: world.violate,
  });
  const isOver = (): boolean => undisturbed.look();
  const rest = [leader, ...listeners].map(({ id }) => id);
  try {
    links.split([away.id], rest, random.pick(["both", "both", "in"]));
    world.faulted("cut off for long", away.id);
    yield { until: isOver, timeouts: random.pick([3, 5]) };
    if (isOver()) return;
    links.heal();
    world.faulted("return of a member", away.id);
    yield { until: isOver, timeouts: 3 };
  } finally {
    links.heal();
  }
}
