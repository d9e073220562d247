// Backups, restores and recovery after a lost majority: nothing damaged is accepted, and what comes back is what was there.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type { Entry } from "../../src/raft/types.ts";
import { Registry } from "../../src/registry/registry.ts";
import { backupBytes, backupFormat } from "../../src/replica/backup.ts";
import type { ImageSource, StorageDone } from "../../src/replica/ports.ts";
import { readBackup } from "../../src/storage/backup-file.ts";
import { commandCodec } from "../../src/storage/command-codec.ts";
import { inspectBackup } from "../../src/storage/inspect.ts";
import { foundCluster } from "../../src/storage/new-cluster.ts";
import { openMemberStorage, type OpenedStorage } from "../../src/storage/open-member.ts";
import { StorageRefusal } from "../../src/storage/refusal.ts";
import { mostKnowing, readSurvivor } from "../../src/storage/survivors.ts";
import { register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { membership } from "./machine.ts";

let root = "";
const member = { id: "m1", peerUrl: "http://peer", clientUrl: "http://client" };

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "rollcall-disaster-"));
});

afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

function ended(start: (done: StorageDone) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((failure) => (failure === null ? resolve() : reject(new Error(failure.message))));
  });
}

/** The registration of an instance, as entry `index`. */
function entryOf(index: number, id: string, term = 1): Entry {
  const envelope = { command: register(id), member: "n1", at: 0, idempotencyKey: null, by: null };
  const payload = commandCodec.encode({ version: 1, envelopes: [envelope] });
  return { kind: "command", term, index, clusterTime: 1_000 * index, payload };
}

/** A member whose image stands at `imageAt`, with `count` registrations in its log. */
async function aMember(
  name: string,
  {
    count,
    imageAt,
    clusterId = "c1",
    term = 1,
  }: { count: number; imageAt: number; clusterId?: string; term?: number },
): Promise<OpenedStorage> {
  const storage = await openMemberStorage({ dir: join(root, name), memberId: name });
  await storage.join(clusterId, membership);
  const entries = Array.from({ length: count }, (_, i) => entryOf(i + 2, `a${i}`, term));
  await ended((done) =>
    must(storage.log, "a member").persist(
      { hardState: { term, vote: null }, truncateAfter: null, entries },
      done,
    ),
  );
  const registry = new Registry();
  for (const entry of entries) {
    if (entry.index > imageAt || entry.kind !== "command") continue;
    registry.apply(commandCodec.decode(entry.payload), entry.clusterTime);
  }
  const last = { term: imageAt === 1 ? 1 : term, index: imageAt };
  const base = { last, clusterTime: 1_000 * imageAt, membership, membershipIndex: 1, lastGraceAt: -1 };
  await ended((done) =>
    must(storage.state, "a member").write({ ...registry.takeChanges(), base, sync: true }, done),
  );
  return storage;
}

async function backUp(storage: OpenedStorage, path: string): Promise<void> {
  const source = await new Promise<ImageSource>((resolve) => {
    must(storage.state, "a member").openImage((_failure, opened) => resolve(must(opened, "an image")));
  });
  const header = { format: backupFormat, clusterId: "c1", member: "n1", index: 1, term: 1, version: "0" };
  const parts: Uint8Array[] = [];
  for await (const part of backupBytes(source, header)) parts.push(part);
  fs.writeFileSync(path, Buffer.concat(parts));
}

async function registryIn(dir: string): Promise<Registry> {
  const storage = await openMemberStorage({ dir, memberId: "m1" });
  const { image, boot } = must(storage.recovered, "a member");
  expect(boot).toMatchObject({ recovering: false, entries: [], appliedIndex: 1 });
  expect(boot.base).toMatchObject({ last: { term: 1, index: 1 }, membership: { voters: ["m1"] } });
  expect(boot.base.clusterTime).toBe(image.base.clusterTime);
  await storage.close();
  return Registry.load(image.records);
}

test("a restored backup is a new cluster with the same instances, and its revision has leapt ahead", async () => {
  const storage = await aMember("n1", { count: 30, imageAt: 31 });
  const file = join(root, "backup");
  await backUp(storage, file);
  await storage.close();

  const { records, header } = await readBackup(file);
  expect(header).toMatchObject({ clusterId: "c1", member: "n1" });
  const before = Registry.load(records);
  const dir = join(root, "restored");
  const founded = await foundCluster({ dir, member, records });
  expect(founded).toMatchObject({ instances: 30, revisionBefore: before.revision, revision: 2 ** 40 });
  expect(founded.clusterId).not.toBe("c1");

  const restored = await registryIn(dir);
  const filter = { statuses: null, tags: [], version: null, zone: null, metadata: [] };
  expect(restored.instances("default", "web", filter)).toEqual(before.instances("default", "web", filter));
  expect(restored.revision).toBe(2 ** 40);
  expect(restored.clusterTime).toBe(before.clusterTime);
  // Every older cursor gets a snapshot.
  expect(restored.eventsSince(before.revision)).toBe(null);
  expect(restored.eventsSince(restored.revision)).toEqual([]);

  // Restored once more it leaps again.
  const again = await readSurvivor(dir);
  const second = await foundCluster({
    dir: join(root, "again"),
    member,
    records: must(again.records(), "a state"),
  });
  expect(second.revision).toBe(2 ** 41);
});

test("nothing is restored over data", async () => {
  const storage = await aMember("n1", { count: 3, imageAt: 4 });
  await storage.close();
  const dir = join(root, "n1");
  const before = fs.readdirSync(dir);
  await expect(foundCluster({ dir, member, records: [] })).rejects.toThrow(/is not empty/);
  expect(fs.readdirSync(dir)).toEqual(before);
});

test("a damaged, shortened or edited backup is refused, wherever the damage is", async () => {
  const storage = await aMember("n1", { count: 50, imageAt: 51 });
  const file = join(root, "backup");
  await backUp(storage, file);
  await storage.close();
  const whole = fs.readFileSync(file);
  const random = seededRandom(5);
  const harmed = join(root, "harmed");
  for (let i = 0; i < 200; i += 1) {
    const bytes = Buffer.from(whole);
    const at = Math.floor(random() * bytes.length);
    if (i % 2 === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    fs.writeFileSync(harmed, i % 2 === 0 ? bytes : bytes.subarray(0, at));
    await expect(readBackup(harmed), `harm ${i} at ${at}`).rejects.toThrow(StorageRefusal);
  }
  fs.writeFileSync(harmed, Buffer.concat([whole, whole]));
  await expect(readBackup(harmed)).rejects.toThrow(StorageRefusal);
  await expect(readBackup(join(root, "nothing"))).rejects.toThrow(/cannot be read/);
});

test("of the members that are left the one that knows most becomes a new cluster, its log included", async () => {
  // The longer log is of an older term: a later leader may have committed other entries in its place.
  for (const [name, shape] of [
    ["n1", { count: 20, imageAt: 5, term: 2 }],
    ["n2", { count: 12, imageAt: 3, term: 3 }],
    ["n3", { count: 10, imageAt: 11, term: 3 }],
  ] as const)
    await (await aMember(name, shape)).close();
  const survivors = await Promise.all(["n1", "n2", "n3"].map((name) => readSurvivor(join(root, name))));
  const before = fs.readFileSync(join(root, "n2/floor"));
  const best = must(mostKnowing(survivors), "one of them");
  expect(best.memberId).toBe("n2");
  expect(best.last).toEqual({ term: 3, index: 13 });
  expect(survivors).toMatchObject([
    { last: { term: 2, index: 21 }, appliedIndex: 5, state: { instances: 20, revision: 20 }, damage: [] },
    { last: { term: 3, index: 13 }, appliedIndex: 3, state: { instances: 12, revision: 12 }, damage: [] },
    { last: { term: 3, index: 11 }, appliedIndex: 11, state: { instances: 10, revision: 10 }, damage: [] },
  ]);
  const dir = join(root, "new");
  const founded = await foundCluster({ dir, member, records: must(best.records(), "a state") });
  expect(founded).toMatchObject({ instances: 12, revisionBefore: 12, revision: 2 ** 40 });
  expect((await registryIn(dir)).instanceCount).toBe(12);
  // What was there stays as it was.
  expect(fs.readFileSync(join(root, "n2/floor"))).toEqual(before);
});

test("folders of two clusters, of none, and without a state are refused", async () => {
  await (await aMember("n1", { count: 2, imageAt: 1 })).close();
  await (await aMember("n2", { count: 2, imageAt: 1, clusterId: "c2" })).close();
  const survivors = await Promise.all(["n1", "n2"].map((name) => readSurvivor(join(root, name))));
  expect(() => mostKnowing(survivors)).toThrow(/not of one cluster/);
  await expect(readSurvivor(root)).rejects.toThrow(/no member of a cluster/);
  await expect(readSurvivor(join(root, "nothing"))).rejects.toThrow(/there is no folder/);
});

test("a survivor that runs is refused, and can be read once it has ended", async () => {
  const storage = await aMember("n1", { count: 2, imageAt: 1 });
  const dir = join(root, "n1");
  await expect(readSurvivor(dir)).rejects.toThrow(/in use by another process/);
  await storage.close();
  expect(await readSurvivor(dir)).toMatchObject({ memberId: "n1", state: { instances: 2 } });
});

test("what is damaged in a survivor is told, and what is left of it is still offered", async () => {
  await (await aMember("n1", { count: 6, imageAt: 4 })).close();
  const dir = join(root, "n1");
  fs.writeFileSync(join(dir, "identity.json"), "{");
  const named = await readSurvivor(dir);
  expect(named).toMatchObject({ memberId: "n1", clusterId: "c1", state: { instances: 6, revision: 6 } });
  expect(named.damage).toEqual(["identity.json is damaged"]);

  fs.rmSync(join(dir, "wal"), { recursive: true });
  const withoutLog = await readSurvivor(dir);
  expect(withoutLog).toMatchObject({ last: { term: 1, index: 4 }, appliedIndex: 4, state: { instances: 3 } });
  expect(withoutLog.damage.join()).toMatch(/there is no log/);

  fs.rmSync(join(dir, "state.1"), { recursive: true });
  const withoutState = await readSurvivor(dir);
  expect(withoutState).toMatchObject({ memberId: "n1", appliedIndex: 0, state: null });
  expect(withoutState.records()).toBe(null);
  expect(withoutState.damage.join()).toMatch(/there is no state image/);
  expect(mostKnowing([withoutState])).toBe(null);
});

test("entries that cannot be applied make up no state, and are told", async () => {
  const storage = await aMember("n1", { count: 3, imageAt: 1 });
  const strange: Entry = {
    kind: "command",
    term: 1,
    index: 5,
    clusterTime: 5_000,
    payload: new Uint8Array(9),
  };
  const write = { hardState: null, truncateAfter: null, entries: [strange] };
  await ended((done) => must(storage.log, "a member").persist(write, done));
  await storage.close();
  const survivor = await readSurvivor(join(root, "n1"));
  expect(survivor).toMatchObject({ last: { index: 5 }, state: null });
  expect(survivor.damage.join()).toMatch(/cannot be applied/);
});

test("a backup can be looked at, and a damaged one says so", async () => {
  const storage = await aMember("n1", { count: 7, imageAt: 8 });
  const file = join(root, "backup");
  await backUp(storage, file);
  await storage.close();
  const lines = await inspectBackup(file);
  expect(lines[0]).toBe("backup of cluster c1, by member n1, written by version 0");
  expect(lines[1]).toMatch(/^state: 7 instances at revision 7, at 8@1, \d+ records$/);
  fs.truncateSync(file, 200);
  await expect(inspectBackup(file)).rejects.toThrow(/is no backup, or it is damaged/);
});
