/**
 * What the members that are left of a cluster hold, read without changing anything, and which of them knows most. For a cluster that has
 * lost its majority for good.
 */

import { must } from "../raft/assert.ts";
import type { EntryId } from "../raft/types.ts";
import type { StateRecord } from "../replica/ports.ts";
import { Registry } from "../registry/registry.ts";
import { commandCodec } from "./command-codec.ts";
import { readFloor } from "./floor.ts";
import { readIdentity } from "./identity.ts";
import { readImageCopy } from "./image-copy.ts";
import { NodeDisk } from "./node-disk.ts";
import { decideRecovery, type Recovery } from "./recovery.ts";
import { StorageRefusal } from "./refusal.ts";
import type { ImageSearch } from "./state/find-image.ts";
import { scanWal } from "./wal/scan.ts";

export interface Survivor {
  readonly dir: string;
  readonly memberId: string;
  readonly clusterId: string;
  /** The last entry that it holds. */
  readonly last: EntryId;
  /** What is damaged or missing in it, in sentences. */
  readonly damage: readonly string[];
  /** The records of its state at its last entry; null when what it holds does not make up a state. */
  readonly records: () => readonly StateRecord[] | null;
}

/** Throws StorageRefusal when the folder is no member's. */
export async function readSurvivor(dir: string): Promise<Survivor> {
  const disk = new NodeDisk(dir);
  const identity = readIdentity(disk);
  if (identity.kind !== "read" || identity.identity.clusterId === null) {
    throw new StorageRefusal(
      `${dir} holds no member of a cluster: its identity.json is missing, damaged or new`,
    );
  }
  const { memberId, clusterId } = identity.identity;
  const floor = readFloor(disk);
  const scan = scanWal(disk, floor.floor?.group ?? 0);
  const search = await readImageCopy(dir);
  const image = search.found?.image.meta ?? null;
  const recovery = decideRecovery({ scan, floor, image, isFounding: false });
  const last = recovery.entries.at(-1) ?? recovery.base.last;
  return {
    dir,
    memberId,
    clusterId,
    last: { term: last.term, index: last.index },
    damage: [...recovery.damage, ...search.damage],
    records: () => replay(recovery, search),
  };
}

/**
 * The one whose last entry is of the latest term, and the furthest in it: by Raft's rules it could have been elected by the others. Null
 * when none holds a state. Throws StorageRefusal when they are not of one cluster.
 */
export function mostKnowing(survivors: readonly Survivor[]): Survivor | null {
  const clusters = new Set(survivors.map(({ clusterId }) => clusterId));
  if (clusters.size > 1) {
    const list = survivors.map(({ dir, clusterId }) => `${dir} of ${clusterId}`).join(", ");
    throw new StorageRefusal(`the folders are not of one cluster: ${list}`);
  }
  const ordered = survivors
    .filter(({ records }) => records() !== null)
    .toSorted((a, b) => b.last.term - a.last.term || b.last.index - a.last.index);
  return ordered[0] ?? null;
}

/** All entries are applied, committed or not: each of them may have been acknowledged. */
function replay(
  { base, entries, usesImage }: Recovery,
  { found }: ImageSearch,
): readonly StateRecord[] | null {
  if (!usesImage && base.last.index > 0) return null;
  const image = usesImage ? must(found, "the image that is used was found").image : null;
  // Without a state and without a beginning of the log nothing can be made again.
  if (image === null && entries[0]?.index !== 1) return null;
  const registry = Registry.load(image?.records ?? []);
  const records = new Map(image?.records ?? []);
  const from = image?.meta.base.last.index ?? 0;
  for (const entry of entries) {
    if (entry.index <= from) continue;
    if (entry.kind === "command") registry.apply(commandCodec.decode(entry.payload), entry.clusterTime);
    else registry.advance(entry.clusterTime, false);
  }
  const { puts, deletes } = registry.takeChanges();
  for (const key of deletes) records.delete(key);
  for (const [key, value] of puts) records.set(key, value);
  return [...records];
}
