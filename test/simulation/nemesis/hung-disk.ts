/**
 * A leader whose disk hangs, and whose heartbeats go on (hashicorp/raft #503; Tarantool #7512): the quorum check sees nothing of it, and
 * whoever asks this leader for anything waits for ever.
 */

import { stallPauseMs } from "../../../src/replica/disk-rules.ts";
import { checkMakingWay } from "../checkers/making-way.ts";
import type { Script, Stage } from "./staged.ts";

export function* hungDisk({ world, leader, followers }: Stage): Script {
  const { process, lane } = leader;
  const term = leader.core?.term ?? 0;
  const { clockDrift } = world.options;
  // Whoever has handed over lately need not again before a while is over, by its own clock.
  const lately = world.time.nowMs - stallPauseMs / (1 - clockDrift);
  if (process === null || followers.length === 0 || leader.handedOverAtMs >= lately) return;
  const sinceMs = world.time.nowMs;
  try {
    lane.isHung = true;
    world.faulted("hung disk", leader.id);
    const isOver = (): boolean => leader.process !== process || leader.core?.term !== term;
    const isWaiting = (): boolean => {
      const log = leader.core?.view.node.log;
      return log !== undefined && log.durableIndex < log.lastIndex;
    };
    // A disk that is asked for nothing cannot be seen to hang.
    if (!(yield { until: () => isOver() || isWaiting(), timeouts: 8 }) || isOver()) return;
    // Three until the write counts as hanging, by the slowest clock; and some for the others to say how they are.
    if (!(yield { until: isOver, timeouts: 12 }))
      checkMakingWay(leader, { by: "disk", term, sinceMs }, world.violate);
  } finally {
    lane.release();
  }
}
