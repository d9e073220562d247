/**
 * A process for tests of power losses on real files: does one thing to a folder, step by step, and prints a line when a step is acknowledged.
 * `node real-history.ts member DIR CHUNKS` is the life of a member, `node real-history.ts found DIR RECORDS` the founding of a restored cluster, and
 * `node real-history.ts backup FILE BYTES` the saving of a backup.
 */

import * as fs from "node:fs";
import { pathToFileURL } from "node:url";
import type { SnapshotMeta } from "../../src/raft/types.ts";
import { must } from "../../src/raft/assert.ts";
import type { LogWrite, StateRecord, StorageDone } from "../../src/replica/ports.ts";
import { foundCluster } from "../../src/storage/new-cluster.ts";
import { saveBackup } from "../../src/storage/save-backup.ts";
import { openMemberStorage, type OpenedStorage } from "../../src/storage/open-member.ts";
import { baseAt, entriesFrom, membership } from "../storage/machine.ts";

export const memberLimits = { segmentBytesMax: 2_000, floorLagEntries: 4 };
export const received: SnapshotMeta = { id: "s", ...baseAt(60, 3) };

export interface Step {
  readonly name: string;
  readonly run: (storage: OpenedStorage) => Promise<void>;
  /** The last entry once it is done, and the lowest position that the state image may then have. */
  readonly last: number;
  readonly image: number;
}

/** What a member does to its folder, one after the other; each is acknowledged before the next begins. */
export function memberSteps(chunks: readonly Uint8Array[]): readonly Step[] {
  const persist = (write: Partial<LogWrite>) => (storage: OpenedStorage) =>
    ended((done) =>
      must(storage.log, "a member").persist(
        { hardState: null, truncateAfter: null, entries: [], ...write },
        done,
      ),
    );
  const image = (index: number, term: number) => async (storage: OpenedStorage) => {
    const batch = { puts: [["applied", index] as const], deletes: [], base: baseAt(index, term), sync: true };
    await ended((done) => must(storage.state, "a member").write(batch, done));
    await ended((done) => must(storage.log, "a member").compact(baseAt(index, term), done));
  };
  return [
    { name: "promise", run: (storage) => storage.savePromise("c1"), last: 0, image: 0 },
    { name: "join", run: (storage) => storage.join("c1", membership), last: 1, image: 0 },
    {
      name: "entries",
      run: persist({ hardState: { term: 2, vote: "n2" }, entries: entriesFrom(2, 25, 2) }),
      last: 26,
      image: 0,
    },
    { name: "more entries", run: persist({ entries: entriesFrom(27, 14, 2) }), last: 40, image: 0 },
    { name: "an image", run: image(20, 2), last: 40, image: 20 },
    { name: "a snapshot", run: (storage) => install(storage, chunks), last: 60, image: 60 },
    {
      name: "entries after it",
      run: persist({ hardState: { term: 4, vote: "n1" }, entries: entriesFrom(61, 40, 4) }),
      last: 100,
      image: 60,
    },
    { name: "a cut", run: persist({ truncateAfter: 90 }), last: 90, image: 60 },
    { name: "another image", run: image(85, 4), last: 90, image: 85 },
    { name: "a close", run: (storage) => storage.close(), last: 90, image: 85 },
  ];
}

async function install(storage: OpenedStorage, chunks: readonly Uint8Array[]): Promise<void> {
  const sink = must(storage.state, "a member").receiveImage(received);
  for (const chunk of chunks) await ended((done) => sink.write(chunk, done));
  await ended((done) => sink.commit((failure) => done(failure)));
  await ended((done) => must(storage.log, "a member").reset(baseAt(60, 3), false, done));
}

function ended(start: (done: StorageDone) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((failure) => (failure === null ? resolve() : reject(new Error(failure.message))));
  });
}

async function live(dir: string, chunksFile: string): Promise<void> {
  const chunks = (JSON.parse(fs.readFileSync(chunksFile, "utf8")) as string[]).map((text) =>
    Buffer.from(text, "base64"),
  );
  const storage = await openMemberStorage({ dir, memberId: "n1", limits: memberLimits });
  for (const step of memberSteps(chunks)) {
    await step.run(storage);
    // Not by a stream: what is acknowledged is told before anything else happens.
    fs.writeSync(1, `${step.name}\n`);
  }
}

async function found(dir: string, recordsFile: string): Promise<void> {
  const records = JSON.parse(fs.readFileSync(recordsFile, "utf8")) as StateRecord[];
  const member = { id: "m1", peerUrl: "http://peer", clientUrl: "http://client" };
  await foundCluster({ dir, member, records });
  fs.writeSync(1, "founded\n");
}

async function save(file: string, bytesFile: string): Promise<void> {
  await saveBackup(partsOf(fs.readFileSync(bytesFile)), file);
  fs.writeSync(1, "saved\n");
}

/** As they come from a member: a few at a time. */
export async function* partsOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += 16_384) yield bytes.subarray(from, from + 16_384);
}

const lives = { member: live, found, backup: save };

const [, started = "", kind, dir = "", given = ""] = process.argv;
if (import.meta.url === pathToFileURL(started).href) await lives[kind as keyof typeof lives](dir, given);
