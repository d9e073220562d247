/**
 * Founds a cluster of one member whose registry is not empty: after a restore, and after the loss of a majority. The cluster is a new one, so
 * that members of the old one are refused, and the revision leaps ahead, so that no client takes an older state for a newer one.
 */

import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { must } from "../raft/assert.ts";
import type { Member, Membership } from "../raft/types.ts";
import type { LogBase, StateRecord, StorageDone } from "../replica/ports.ts";
import { Registry } from "../registry/registry.ts";
import { syncPath } from "./durable-path.ts";
import { openMemberStorage, type OpenedStorage } from "./open-member.ts";
import { StorageRefusal } from "./refusal.ts";

/** One batch of the image takes about this many records. */
const batchRecords = 10_000;

export interface NewCluster {
  /** Must be empty or missing. */
  readonly dir: string;
  readonly member: Omit<Member, "incarnation">;
  readonly records: readonly StateRecord[];
}

export interface Founded {
  readonly clusterId: string;
  readonly revisionBefore: number;
  readonly revision: number;
  readonly instances: number;
}

/** All of it or nothing: the folder gets its name last. Throws StorageRefusal when something is in it. */
export async function foundCluster({ dir, member, records }: NewCluster): Promise<Founded> {
  mustBeEmpty(dir);
  const registry = Registry.load(records);
  const revisionBefore = registry.revision;
  registry.leapAhead();
  const clusterId = randomUUID();
  const unfinished = `${dir}.unfinished`;
  await fs.rm(unfinished, { recursive: true, force: true });
  const storage = await openMemberStorage({ dir: unfinished, memberId: member.id });
  try {
    const membership = membershipOf({ ...member, incarnation: storage.identity.incarnation });
    await storage.join(clusterId, membership);
    await writeImage(storage, registry, records, {
      // The founding entry; cluster time goes on from where the state stands.
      last: { term: 1, index: 1 },
      clusterTime: registry.clusterTime,
      membership,
      membershipIndex: 1,
      lastGraceAt: -1,
    });
  } finally {
    await storage.close();
  }
  await fs.rm(dir, { recursive: true, force: true });
  await fs.rename(unfinished, dir);
  await syncPath(dirname(dir));
  return { clusterId, revisionBefore, revision: registry.revision, instances: registry.instanceCount };
}

function mustBeEmpty(dir: string): void {
  if (!existsSync(dir) || readdirSync(dir).length === 0) return;
  throw new StorageRefusal(
    `${dir} is not empty, and nothing is ever restored over data: name a folder that does not exist yet`,
  );
}

function membershipOf(member: Member): Membership {
  return { voters: [member.id], outgoing: [], learners: [], members: [member] };
}

/** The records as they were, then what the leap has changed, then the log that begins there. */
async function writeImage(
  storage: OpenedStorage,
  registry: Registry,
  records: readonly StateRecord[],
  base: LogBase,
): Promise<void> {
  const state = must(storage.state, "a member has a state image");
  const log = must(storage.log, "a member has a log");
  for (let from = 0; from < records.length; from += batchRecords) {
    const puts = records.slice(from, from + batchRecords);
    await ended((done) => state.write({ puts, deletes: [], base, sync: false }, done));
  }
  const changes = registry.takeChanges();
  await ended((done) => state.write({ ...changes, base, sync: true }, done));
  await ended((done) => log.compact(base, done));
}

function ended(start: (done: StorageDone) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((failure) => (failure === null ? resolve() : reject(new Error(failure.message))));
  });
}
