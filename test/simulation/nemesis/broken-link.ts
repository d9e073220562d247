/**
 * One follower loses its link to the leader, and nobody else does (DESIGN.md section 2, decision 7; thesis §4.2.3). Its log is as good as
 * the others', since all wait for the leader's next entries: only that they hear the leader keeps them from electing it.
 */

import { Undisturbed } from "../checkers/undisturbed.ts";
import type { Script, Stage } from "./staged.ts";

export function* brokenLink({ world, random, leader, followers }: Stage): Script {
  const { network } = world;
  const [cutOff, ...listeners] = followers;
  if (cutOff === undefined || listeners.length === 0) return;
  const undisturbed = new Undisturbed({
    leader,
    listeners,
    others: [cutOff],
    elections: world.checkers.elections,
    violate: world.violate,
  });
  const isOver = (): boolean => undisturbed.look();
  try {
    network.holdUp(({ type, from }) => type === "append" && from === leader.id);
    // At once it looks for another leader, if it is told that the connection broke; otherwise after a while.
    if (random.chance(0.5)) network.resetConnections(cutOff.id);
    network.links.split([leader.id], [cutOff.id], random.pick(["both", "out"]));
    world.faulted("broken link", cutOff.id);
    yield { until: isOver, timeouts: 4 };
    if (isOver()) return;
    // Whatever it has come to meanwhile, the leader meets it now.
    network.letGo();
    network.links.heal();
    yield { until: isOver, timeouts: 2 };
  } finally {
    network.letGo();
    network.links.heal();
  }
}
