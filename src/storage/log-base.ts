/** The boundary of a compacted log as a positional array, the same in the log and in the state image. */

import { snapshotMetaFromArray, snapshotMetaToArray } from "../raft/wire.ts";
import type { LogBase } from "../replica/ports.ts";
import { readWire } from "./msgpack.ts";

/** Before the first entry: no members, no time. */
export const emptyBase: LogBase = {
  last: { term: 0, index: 0 },
  clusterTime: 0,
  membership: { voters: [], outgoing: [], learners: [], members: [] },
  membershipIndex: 0,
  lastGraceAt: -1,
};

export function baseToArray(base: LogBase): unknown[] {
  return snapshotMetaToArray({ ...base, id: "base" });
}

/** Throws MalformedError when the value is no boundary. */
export function baseFromArray(value: unknown): LogBase {
  const { id: _, ...base } = readWire(value, snapshotMetaFromArray);
  return base;
}
