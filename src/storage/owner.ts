/**
 * Whose data a folder holds, by everything in it that says so. Each of them restores the others; where two disagree, somebody has put the
 * files of two members together, and nothing is opened.
 */

import type { NodeId } from "../raft/types.ts";
import { folderFormat, type Identity, type IdentityReading } from "./identity.ts";
import { StorageRefusal } from "./refusal.ts";
import type { Owner } from "./wal/contents.ts";

export interface OwnerEvidence {
  /** The member that wants to open the folder. */
  readonly memberId: NodeId;
  readonly identity: IdentityReading;
  readonly others: readonly { readonly file: string; readonly owner: Owner | null }[];
  /** Whether there is anything at all of a log, a floor or an image. */
  readonly isEmpty: boolean;
  /** For a folder in which there is nothing. */
  readonly newIncarnation: string;
}

export interface Ownership {
  readonly identity: Identity;
  /** Whether `identity.json` says something else, or nothing, and has to be written. */
  readonly isNews: boolean;
  /** Whether a folder that belongs to a cluster had to be told so by something else than `identity.json`. */
  readonly isRestored: boolean;
}

/** Throws StorageRefusal when the folder belongs to another member, or to nobody who can be told. */
export function findOwner(evidence: OwnerEvidence): Ownership {
  const { identity: reading, memberId } = evidence;
  const identity = reading.kind === "read" ? reading.identity : null;
  const owner = agreedOwner(evidence, identity);
  if (owner !== null) {
    const isNews = identity?.clusterId !== owner.clusterId;
    const promisedClusterId = identity?.promisedClusterId ?? null;
    return {
      identity: { formatVersion: folderFormat, ...owner, promisedClusterId },
      isNews,
      isRestored: isNews,
    };
  }
  if (identity !== null) return { identity, isNews: false, isRestored: false };
  if (reading.kind === "missing" && evidence.isEmpty) {
    const incarnation = evidence.newIncarnation;
    const fresh = {
      formatVersion: folderFormat,
      clusterId: null,
      memberId,
      incarnation,
      promisedClusterId: null,
    };
    return { identity: fresh, isNews: true, isRestored: false };
  }
  throw new StorageRefusal(
    `the data folder's identity.json is ${reading.kind}, and nothing else in the folder can tell whose data it holds: empty the folder and add ${memberId} to the cluster as a new member`,
  );
}

/** What all that can be read agree on; null when nothing names an owner. */
function agreedOwner({ memberId, others }: OwnerEvidence, identity: Identity | null): Owner | null {
  if (identity !== null) refuseOtherMember("identity.json", identity.memberId, memberId);
  const known: { readonly file: string; readonly owner: Owner }[] = [];
  if (identity !== null && identity.clusterId !== null) {
    const { clusterId, incarnation } = identity;
    known.push({ file: "identity.json", owner: { clusterId, memberId, incarnation } });
  }
  for (const { file, owner } of others) {
    if (owner === null) continue;
    refuseOtherMember(file, owner.memberId, memberId);
    if (identity !== null && identity.incarnation !== owner.incarnation)
      refuseMixture("identity.json", file, `incarnation ${identity.incarnation} and ${owner.incarnation}`);
    const first = known[0];
    if (first !== undefined && first.owner.clusterId !== owner.clusterId)
      refuseMixture(first.file, file, `cluster ${first.owner.clusterId} and ${owner.clusterId}`);
    if (first !== undefined && first.owner.incarnation !== owner.incarnation)
      refuseMixture(first.file, file, `incarnation ${first.owner.incarnation} and ${owner.incarnation}`);
    known.push({ file, owner });
  }
  return known[0]?.owner ?? null;
}

function refuseOtherMember(file: string, found: NodeId, expected: NodeId): void {
  if (found === expected) return;
  throw new StorageRefusal(
    `the data folder belongs to member ${found} (${file}) and cannot be opened by ${expected}: give ${expected} a folder of its own, or start ${found}`,
  );
}

function refuseMixture(a: string, b: string, difference: string): never {
  throw new StorageRefusal(
    `the data folder mixes files of two members' lives (${a} and ${b} say ${difference}): put back the files that belong together`,
  );
}
