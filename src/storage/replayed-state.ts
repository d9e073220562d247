/** The state that a folder comes to once all of its log is applied: what an operator has to know of it, and what a new cluster begins with. */

import { must } from "../raft/assert.ts";
import type { StateRecord } from "../replica/ports.ts";
import { Registry } from "../registry/registry.ts";
import { commandCodec } from "./command-codec.ts";
import type { Recovery } from "./recovery.ts";
import type { ImageSearch } from "./state/find-image.ts";

/** How much a state is, and how far it has come. */
export interface StateSize {
  readonly instances: number;
  readonly revision: number;
}

export interface ReplayedState extends StateSize {
  readonly records: () => readonly StateRecord[];
}

/** Entries are applied whether or not they were committed: each of them may have been acknowledged. A text says why there is no state. */
export function replayedState(recovery: Recovery, search: ImageSearch): ReplayedState | string {
  const { base, entries, usesImage } = recovery;
  const image = usesImage ? must(search.found, "the image that is used was found").image : null;
  // Without a state and without a beginning of the log nothing can be made again.
  if (image === null && (base.last.index > 0 || entries[0]?.index !== 1))
    return "there is no state image, and the log does not reach back to its beginning";
  try {
    const registry = Registry.load(image?.records.packed() ?? []);
    for (const entry of entries) {
      if (entry.index <= (image?.meta.base.last.index ?? 0)) continue;
      if (entry.kind === "command") registry.apply(commandCodec.decode(entry.payload), entry.clusterTime);
      else registry.advance(entry.clusterTime, false);
    }
    const { instanceCount: instances, revision } = registry;
    return { instances, revision, records: () => changed(image?.records ?? [], registry) };
  } catch (error) {
    return `what the folder holds cannot be applied: ${(error as Error).message}`;
  }
}

export function sizeOf(records: Iterable<StateRecord>): StateSize {
  const { instanceCount: instances, revision } = Registry.load(records);
  return { instances, revision };
}

function changed(before: Iterable<StateRecord>, registry: Registry): readonly StateRecord[] {
  const records = new Map(before);
  const { puts, deletes } = registry.takeChanges();
  for (const key of deletes) records.delete(key);
  for (const [key, value] of puts) records.set(key, value);
  return [...records];
}
