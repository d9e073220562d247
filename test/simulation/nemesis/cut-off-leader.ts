/** Cuts a leader off, alone or with a minority, so that the others may elect another while it goes on appending. */

import type { NodeId } from "../../../src/raft/types.ts";
import type { Random } from "../random.ts";
import type { Links } from "../world/links.ts";

/** Instead of whatever is cut now. Now and then it can still be heard, or still hears. Returns false where there is no majority to cut it off from. */
export function cutOffLeader(links: Links, leader: NodeId, ids: readonly NodeId[], random: Random): boolean {
  if (ids.length < 3) return false;
  const others = random.shuffled(ids.filter((id) => id !== leader));
  const minority = [leader, ...others.slice(0, random.below(Math.ceil(ids.length / 2) - 1))];
  const majority = ids.filter((id) => !minority.includes(id));
  links.heal();
  links.split(minority, majority, random.pick(["both", "both", "both", "in", "out"]));
  return true;
}
