/** Collects all garbage once and gives the memory back to the system, which V8 does not do by itself for as long as the process has work. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** With more instances it could hold a member up for as long as an election timeout. */
export const givenBackInstancesMax = 200_000;

/**
 * To be called once a start is over. What was read, decoded and replaced in it is as large as what is kept, and a young generation that grew
 * for it stays as it is: together more than half of a member's memory, which nothing would need again. It holds the process up in proportion
 * to what is kept, so a member with very many instances stays as it is. Returns whether it was done.
 */
export function giveBackMemory(instances: number): boolean {
  if (instances > givenBackInstancesMax) return false;
  // Only a context that is made after the flag was set has the function.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as NodeJS.GCFunction;
  setFlagsFromString("--no-expose-gc");
  // The only kind of collection that also shrinks the young generation and the free rest of the old one.
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
  return true;
}
