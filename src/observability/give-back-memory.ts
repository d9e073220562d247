/** Collects the garbage of a start, which V8 does not do by itself for as long as the process has work that makes little of its own. */

import { setFlagsFromString } from "node:v8";
import { measureMemory, runInNewContext } from "node:vm";

/** With more instances, collecting at once could hold a member up for as long as an election timeout. */
export const collectedAtOnceMax = 200_000;

/**
 * To be called once a start is over. What was read, decoded and replaced in it is as large as what is kept, and a young generation that grew
 * for it stays as it is: together more than half of a member's memory, which nothing would need again.
 *
 * Before the member is ready it would be for nothing: the replay and the batch after it leave as much garbage once more. So it is called while
 * somebody else leads: a follower reads what has arrived meanwhile before it looks at its clock, and nobody waits for it.
 */
export function giveBackMemory(instances: number): void {
  if (instances <= collectedAtOnceMax) collectAtOnce();
  else collectMeanwhile();
}

/** Holds the process up in proportion to what is kept: a collection of last resort is two whole ones in a row, and cannot be had in parts. */
function collectAtOnce(): void {
  // Only a context that is made after the flag was set has the function.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as NodeJS.GCFunction;
  setFlagsFromString("--no-expose-gc");
  // The only kind of collection that also shrinks the young generation and the free rest of the old one.
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** To measure what is alive, V8 marks it, in small steps and beside the work; the collection at the end of that moves next to nothing. */
function collectMeanwhile(): void {
  void measureMemory({ mode: "summary", execution: "eager" });
}
