/**
 * What the members that are left of a cluster hold, read without changing it, and which of them knows most. For a cluster that has lost its
 * majority for good.
 */

import { statSync } from "node:fs";
import type { EntryId } from "../raft/types.ts";
import type { StateRecord } from "../replica/ports.ts";
import { readFloor } from "./floor.ts";
import { lockFolder } from "./folder-lock.ts";
import { type Identity, type IdentityReading, readIdentity } from "./identity.ts";
import { readImageCopy } from "./image-copy.ts";
import { NodeDisk } from "./node-disk.ts";
import { findOwner, type OwnerEvidence } from "./owner.ts";
import { decideRecovery } from "./recovery.ts";
import { StorageRefusal } from "./refusal.ts";
import { replayedState, type StateSize } from "./replayed-state.ts";
import { scanWal } from "./wal/scan.ts";

export interface Survivor {
  readonly dir: string;
  readonly memberId: string;
  readonly clusterId: string;
  /** The last entry that it holds. */
  readonly last: EntryId;
  /** Up to where its state image has applied the log; 0 when it has none. */
  readonly appliedIndex: number;
  /** At its last entry; null when what it holds does not make up a state. */
  readonly state: StateSize | null;
  /** What is damaged or missing in it, in sentences. */
  readonly damage: readonly string[];
  /** The records of its state; null when it has none. Made anew with each call: the states of all survivors need not fit at once. */
  readonly records: () => readonly StateRecord[] | null;
}

/** Throws StorageRefusal when the folder is no member's, or is in use. */
export async function readSurvivor(dir: string): Promise<Survivor> {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new StorageRefusal(`there is no folder ${dir}`);
  const release = await lockIfPossible(dir);
  try {
    return await read(dir);
  } finally {
    await release();
  }
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
    .filter(({ state }) => state !== null)
    .toSorted((a, b) => b.last.term - a.last.term || b.last.index - a.last.index);
  return ordered[0] ?? null;
}

/** A running member goes on writing while it is read. What cannot be written, such as a rescued disk, has no running member. */
async function lockIfPossible(dir: string): Promise<() => Promise<void>> {
  try {
    const lock = await lockFolder(dir);
    return () => lock.release();
  } catch (error) {
    if (error instanceof StorageRefusal) throw error;
    return () => Promise.resolve();
  }
}

async function read(dir: string): Promise<Survivor> {
  const disk = new NodeDisk(dir);
  const reading = readIdentity(disk);
  const floor = readFloor(disk);
  const scan = scanWal(disk, floor.floor?.group ?? 0);
  const search = await readImageCopy(dir);
  const image = search.found?.image.meta ?? null;
  const { memberId, clusterId } = ownerOf(dir, reading, [
    { file: "wal", owner: scan.owner },
    { file: "floor", owner: floor.floor?.owner ?? null },
    { file: "the state image", owner: image?.owner ?? null },
  ]);
  const isFounding = reading.kind === "read" && reading.identity.clusterId === null;
  const recovery = decideRecovery({ scan, floor, image, isFounding });
  const { term, index } = recovery.entries.at(-1) ?? recovery.base.last;
  const replayed = replayedState(recovery, search);
  const hasState = typeof replayed !== "string";
  return {
    dir,
    memberId,
    clusterId,
    last: { term, index },
    appliedIndex: recovery.usesImage ? (image?.base.last.index ?? 0) : 0,
    state: hasState ? { instances: replayed.instances, revision: replayed.revision } : null,
    damage: [
      ...(reading.kind === "read" ? [] : [`identity.json is ${reading.kind}`]),
      ...recovery.damage,
      ...search.damage,
      ...(hasState ? [] : [replayed]),
    ],
    records: () => {
      const again = replayedState(recovery, search);
      return typeof again === "string" ? null : again.records();
    },
  };
}

/** By whatever in the folder says so: the identity is one small file, and the others name the same owner. */
function ownerOf(
  dir: string,
  identity: IdentityReading,
  others: OwnerEvidence["others"],
): Pick<Identity, "memberId"> & { readonly clusterId: string } {
  const named =
    identity.kind === "read" ? identity.identity : others.find(({ owner }) => owner !== null)?.owner;
  const { memberId } = named ?? {};
  if (memberId === undefined)
    throw new StorageRefusal(`${dir} holds no member of a cluster: nothing in it says whose it is`);
  const owner = findOwner({ memberId, identity, others, isEmpty: false, newIncarnation: "" }).identity;
  const { clusterId } = owner;
  if (clusterId === null)
    throw new StorageRefusal(`${dir} holds no member of a cluster: ${memberId} has not joined one yet`);
  return { memberId, clusterId };
}
