/**
 * Coverage marks: the rare things that runs are there to reach. A simulator that never gets there proves nothing about it, and looks just as
 * clean; so a test asks for all of them, and `--seeds` says which ones its seeds have not reached.
 */

import { partitionShapes } from "./world/links.ts";

export const rareMarks: readonly string[] = [
  // What the core tells.
  "truncated",
  "recovered",
  "removed",
  "membershipChanged",
  "lost the quorum",
  "removed from the cluster",
  "transferStarted",
  "transferAborted",
  // What comes of images, also at the wrong moment.
  "snapshotInstalled",
  "installedInALaterTerm",
  "crashedWhileInstalling",
  // Leaders that make way for others.
  "pace hand-over",
  "disk hand-over",
  "room hand-over",
  // What the world does to members.
  "crash",
  "crash of the leader",
  "crash of all",
  "powerLoss",
  "powerLoss of all",
  "stop",
  "pause",
  "clockJump",
  "badNetwork",
  "resetConnections",
  "readdress",
  "announced",
  "split of the leader",
  ...partitionShapes.map((shape) => `partition ${shape}`),
  "slowDisk",
  "hangDisk",
  "fullDisk",
  "failDisk",
  "diskFailed",
  "rotLog",
  "rotImage",
  "wipe",
  "membership",
  "transfer",
  "compact",
  // Faults at chosen moments.
  "split at a change",
  "slow install",
  "slow build",
  "away at a replacement",
  "late acknowledgement",
  "acknowledgement of an earlier term",
  "overtaken image",
  "image below the log",
  "slow loop",
  "hung disk",
  "cut off for long",
  "return of a member",
  "broken link",
  "late winner",
  "another entry at the same index",
  "commit of what was overwritten",
  "stranded candidate",
  // Where a leader is asked for before the network is whole.
  "settled under ring",
  "settled under bridge",
  "settled under oneWay",
  "settled under deaf",
];

/** How often each mark was reached. */
export type Marks = ReadonlyMap<string, number>;

export function notReached(marks: Marks): readonly string[] {
  return rareMarks.filter((mark) => !marks.has(mark));
}
