// A data folder of a cluster of one member that holds many instances, and a tail of log entries after its state image.

import { must } from "../../../src/raft/assert.ts";
import type { Entry } from "../../../src/raft/types.ts";
import type { Envelope } from "../../../src/registry/commands.ts";
import { commandVersion } from "../../../src/registry/commands.ts";
import { Registry } from "../../../src/registry/registry.ts";
import type { LogBase, StorageDone } from "../../../src/replica/ports.ts";
import { commandCodec } from "../../../src/storage/command-codec.ts";
import { openMemberStorage } from "../../../src/storage/open-member.ts";
import { register } from "../../../test/support/commands.ts";

const perEntry = 500;
const ttlMs = 86_400_000;

export interface BigFolder {
  readonly dir: string;
  readonly instances: number;
  /** Entries in the log that the image does not hold yet. */
  readonly tail: number;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** A thousand instances a service, each as a team would register it. */
function registration(i: number, weight: number): Envelope {
  const declared = {
    port: 1_024 + (i % 60_000),
    zone: `zone-${i % 3}`,
    version: "1.4.2",
    tags: ["blue"],
    metadata: [["rack", `r${i % 40}`]] as const,
    weight,
    ttlMs,
  };
  const command = register(`instance-${i}`, declared, `service-${Math.floor(i / 1_000)}`);
  return { command, member: "n1", at: 0, idempotencyKey: null, by: null };
}

function entryOf(index: number, envelopes: readonly Envelope[]): Extract<Entry, { kind: "command" }> {
  const payload = commandCodec.encode({ version: commandVersion, envelopes: [...envelopes] });
  return { kind: "command", term: 1, index, clusterTime: index, payload };
}

export async function makeBigFolder({ dir, instances, tail, peerUrl, clientUrl }: BigFolder): Promise<void> {
  const storage = await openMemberStorage({ dir, memberId: "n1" });
  const member = { id: "n1", incarnation: storage.identity.incarnation, peerUrl, clientUrl };
  const membership = { voters: ["n1"], outgoing: [], learners: [], members: [member] };
  await storage.join("bench", membership);
  const [log, state] = [must(storage.log, "a member"), must(storage.state, "a member")];
  const registry = new Registry();
  let index = 1;
  const baseHere = (): LogBase => ({
    last: { term: 1, index },
    clusterTime: index,
    membership,
    membershipIndex: 1,
    lastGraceAt: -1,
  });
  const flush = async (sync: boolean): Promise<void> => {
    const base = baseHere();
    await ended((done) => state.write({ ...registry.takeChanges(), base, sync }, done));
  };
  for (let from = 0; from < instances; from += perEntry) {
    const envelopes = Array.from({ length: Math.min(perEntry, instances - from) }, (_, i) =>
      registration(from + i, 1),
    );
    index += 1;
    const entry = entryOf(index, envelopes);
    registry.apply({ version: commandVersion, envelopes }, entry.clusterTime);
    await ended((done) => log.persist({ hardState: null, truncateAfter: null, entries: [entry] }, done));
    if (from % 50_000 === 0) await flush(false);
  }
  await flush(true);
  await ended((done) => log.compact(baseHere(), done));
  for (let left = tail; left > 0; left -= perEntry) {
    const entries = Array.from({ length: Math.min(perEntry, left) }, () => {
      index += 1;
      return entryOf(index, [registration(index % instances, 2 + (index % 90))]);
    });
    await ended((done) => log.persist({ hardState: null, truncateAfter: null, entries }, done));
  }
  await storage.close();
}

export function ended(start: (done: StorageDone) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((failure) => (failure === null ? resolve() : reject(new Error(failure.message))));
  });
}
