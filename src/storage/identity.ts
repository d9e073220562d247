/**
 * `identity.json`: whose data this folder holds. It exists from the first start on, before the member belongs to any cluster; the cluster
 * id in it is what ends a bootstrap. It is JSON because people look here first.
 */

import type { NodeId } from "../raft/types.ts";
import { checksum } from "./checksum.ts";
import type { Disk, DiskDone } from "./disk.ts";
import { replaceFile } from "./disk-steps.ts";
import { StorageRefusal } from "./refusal.ts";

const identityPath = "identity.json";

/** Raised when the layout of the folder changes; a folder of a newer format is refused. */
export const folderFormat = 1;

export interface Identity {
  readonly formatVersion: number;
  /** Null until the member belongs to a cluster. */
  readonly clusterId: string | null;
  readonly memberId: NodeId;
  /** Drawn when the folder was made: a wiped folder is another member. */
  readonly incarnation: string;
  /** The cluster that this member promised to belong to, and to no other; once it belongs to one, no longer of interest. */
  readonly promisedClusterId: string | null;
}

export type IdentityReading =
  | { readonly kind: "missing" }
  /** The bytes are not what was written. */
  | { readonly kind: "damaged" }
  | { readonly kind: "read"; readonly identity: Identity };

/** Throws StorageRefusal when the folder is of a newer format. */
export function readIdentity(disk: Disk): IdentityReading {
  const bytes = disk.read(identityPath);
  if (bytes === null) return { kind: "missing" };
  const value = parse(bytes);
  if (value === null) return { kind: "damaged" };
  if (typeof value["formatVersion"] === "number" && value["formatVersion"] > folderFormat) {
    throw new StorageRefusal(
      `${identityPath} says format ${value["formatVersion"]}, and this version of Rollcall reads formats up to ${folderFormat}: start a newer version`,
    );
  }
  const identity = identityOf(value);
  if (identity === null || value["checksum"] !== sumOf(identity)) return { kind: "damaged" };
  return { kind: "read", identity };
}

export function writeIdentity(disk: Disk, identity: Identity, done: DiskDone): void {
  const text = `${JSON.stringify({ ...identity, checksum: sumOf(identity) }, null, 2)}\n`;
  replaceFile(disk, identityPath, Buffer.from(text), done);
}

function parse(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function identityOf(value: Record<string, unknown>): Identity | null {
  const { formatVersion, clusterId, memberId, incarnation, promisedClusterId } = value;
  if (typeof formatVersion !== "number" || typeof memberId !== "string" || typeof incarnation !== "string")
    return null;
  if (clusterId !== null && typeof clusterId !== "string") return null;
  if (promisedClusterId !== null && typeof promisedClusterId !== "string") return null;
  return { formatVersion, clusterId, memberId, incarnation, promisedClusterId };
}

/** Of the fields in a fixed order, so that it does not depend on how the file is laid out. */
function sumOf({ formatVersion, clusterId, memberId, incarnation, promisedClusterId }: Identity): string {
  const fields = [formatVersion, clusterId, memberId, incarnation, promisedClusterId];
  return checksum(JSON.stringify(fields)).toString(16).padStart(8, "0");
}
