/**
 * A leader whose loop is late with everything and never stops: a process that collects garbage all the time, or shares its processor with too
 * many others. Its heartbeats still come in time, so no election ends it, and the whole cluster is as slow as it is.
 */

import { handOverPauseMs } from "../../../src/replica/hand-over-attempts.ts";
import { checkMakingWay } from "../checkers/making-way.ts";
import type { Script, Stage } from "./staged.ts";

/** How long a round of the loop takes, in shortest election timeouts, where each round sends heartbeats: not so long that the others miss them. */
const roundTimeouts = 0.5;

export function* slowLoop({ world, leader, followers }: Stage): Script {
  const { process } = leader;
  const term = leader.core?.term ?? 0;
  const { clockDrift, settings } = world.options;
  const { raft } = settings;
  const roundMs = (roundTimeouts * world.unitMs) / raft.heartbeatTicks;
  // Whoever has handed over lately need not again before a while is over, by its own clock.
  const lately = world.time.nowMs - handOverPauseMs / (1 - clockDrift);
  if (process === null || followers.length === 0) return;
  try {
    process.slowDown(roundMs);
    // What arrives in one round is taken up in the next.
    world.paused(2 * roundMs);
    world.faulted("slow loop", leader.id);
    const isOver = (): boolean => leader.process !== process || leader.core?.term !== term;
    // Five looks at itself, each later by a round, by the slowest clock; and one more.
    if (!(yield { until: isOver, timeouts: 16 }))
      checkMakingWay(leader, { by: "pace", term, sinceMs: lately }, world.violate);
  } finally {
    process.slowDown(0);
  }
}
