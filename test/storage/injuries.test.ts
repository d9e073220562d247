// Injures every file of a data folder in every way that disks do, and starts: what comes back is what was there, or the member says that
// its memory is not whole, or it refuses. Never something else.

import { expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import { StorageRefusal } from "../../src/storage/refusal.ts";
import type { MemberStores, Storage } from "../../src/storage/open-storage.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import type { MemoryStores } from "../support/memory-stores.ts";
import { seededRandom } from "../support/random.ts";
import { anEntry, baseAt, entriesFrom, Machine, memoryOf } from "./machine.ts";

const seed = Number(process.env["SEED"] ?? 4_711);
const random = seededRandom(seed);

function storesOf(storage: Storage): MemberStores {
  return must(storage.stores, "the member belongs to a cluster");
}

/** Some segments, a compacted beginning, an image, and a floor that covers everything. */
function aFolder({ compacted }: { readonly compacted: boolean }): Machine {
  const { machine, storage } = Machine.founded();
  const { log, state } = storesOf(storage);
  const persist = (change: object): unknown =>
    machine.wait((done: (failure: unknown) => void) =>
      log.persist({ hardState: null, truncateAfter: null, entries: [], ...change }, done),
    );
  persist({ hardState: { term: 2, vote: "n2" }, entries: entriesFrom(2, 8, 2) });
  for (let index = 10; index < 40; index += 1) persist({ entries: [anEntry(index, 2, 1 + (index % 50))] });
  persist({ hardState: { term: 3, vote: "n1" }, truncateAfter: 36 });
  persist({ entries: entriesFrom(37, 10, 3) });
  const base = baseAt(30, 2);
  const puts = Array.from({ length: 20 }, (_, i) => [`key-${i}`, `value ${i}`] as const);
  machine.wait((done) => state.write({ puts, deletes: [], base: baseAt(20, 2), sync: true }, done));
  const changes = puts.slice(5).map(([key]) => [key, "changed"] as const);
  machine.wait((done) => state.write({ puts: changes, deletes: ["key-0"], base, sync: true }, done));
  if (compacted) machine.wait((done) => log.compact(base, done));
  persist({ entries: entriesFrom(47, 4, 3) });
  machine.wait((done) => storage.close(done));
  return machine.killed();
}

function copyOf(machine: Machine): Machine {
  const disk = new MemoryDisk(machine.disk.files());
  return new Machine(disk, machine.stores.kill(disk));
}

type Injury = readonly [name: string, injure: (bytes: Uint8Array) => Uint8Array];

const injuries: readonly Injury[] = [
  ["a flipped bit", (bytes) => changedAt(bytes, pick(bytes.length), (byte) => byte ^ (1 << pick(8)))],
  ["a cut end", (bytes) => bytes.slice(0, pick(bytes.length))],
  ["a byte missing at the end", (bytes) => bytes.slice(0, -1)],
  ["a byte missing within", (bytes) => without(bytes, pick(bytes.length), 1)],
  ["a zeroed block", (bytes) => filled(bytes, pick(bytes.length), 64, () => 0)],
  ["a zeroed end", (bytes) => filled(bytes, pick(bytes.length), bytes.length, () => 0)],
  ["garbage", (bytes) => filled(bytes, pick(bytes.length), 1 + pick(200), () => pick(256))],
  ["a block that stands twice", (bytes) => repeated(bytes, pick(bytes.length), 1 + pick(200))],
  ["an empty file", () => new Uint8Array()],
];

test.each([{ compacted: true }, { compacted: false }])(
  "an injured file is noticed or harmless, log compacted: $compacted",
  (kind) => {
    const folder = aFolder(kind);
    const healthy = storesOf(copyOf(folder).open()).recovered;
    const files = [...folder.disk.files().keys()];
    expect(files.length).toBeGreaterThan(4);
    const outcomes = { same: 0, recovering: 0, refused: 0 };
    for (const path of files) {
      for (const [name, injure] of injuries) {
        for (let i = 0; i < 12; i += 1) {
          const machine = copyOf(folder);
          machine.disk.corrupt(path, injure);
          outcomes[
            judge(machine, healthy, `replay: SEED=${seed} npm run unit -- injuries (${name} in ${path})`)
          ] += 1;
        }
      }
    }
    // Of everything that happens to the log, nearly all has to be noticed; the identity restores itself.
    expect(outcomes.recovering).toBeGreaterThan(outcomes.same);
    expect(outcomes.refused).toBe(0);
  },
);

test("deleted and exchanged files are noticed or harmless", () => {
  const folder = aFolder({ compacted: true });
  const healthy = storesOf(copyOf(folder).open()).recovered;
  const files = [...folder.disk.files()];
  const outcomes = { same: 0, recovering: 0, refused: 0 };
  for (const [path] of files) {
    const machine = new Machine(new MemoryDisk(new Map(files.filter(([name]) => name !== path))));
    outcomes[judge(machine, healthy, `without ${path} and the image`)] += 1;
    for (const [other, bytes] of files) {
      if (other === path) continue;
      const exchanged = copyOf(folder);
      exchanged.disk.corrupt(path, () => bytes);
      outcomes[judge(exchanged, healthy, `${other} in the place of ${path}`)] += 1;
    }
  }
  expect(outcomes.recovering).toBeGreaterThan(files.length);
  expect(outcomes.refused).toBe(0);
});

test("a folder that lost its whole log, or its floor, is recovering and not fresh", () => {
  const folder = aFolder({ compacted: true });
  for (const lost of [/^wal/, /^floor/, /^(?:wal|floor)/, /^(?:wal|identity)/, /^(?:identity|floor)/]) {
    const files = [...folder.disk.files()].filter(([path]) => !lost.test(path));
    const disk = new MemoryDisk(new Map(files));
    const storage = new Machine(disk, folder.stores.kill(disk)).open();
    expect(storage.identity.clusterId, `without ${String(lost)}`).toBe("c1");
    expect(storesOf(storage).recovered.boot.recovering, `without ${String(lost)}`).toBe(true);
  }
  const onlyIdentity = [...folder.disk.files()].filter(([path]) => path === "identity.json");
  const storage = new Machine(new MemoryDisk(new Map(onlyIdentity))).open();
  expect(storesOf(storage).recovered.boot).toMatchObject({ recovering: true, entries: [], appliedIndex: 0 });
});

test("an injured image is never served: it is made again from the log, or the member is recovering", () => {
  const harms: readonly (readonly [
    string,
    (records: Map<string, Uint8Array>, older: Map<string, Uint8Array>) => void,
  ])[] = [
    ["a flipped bit", (records) => flipIn(records, `key-${1 + pick(19)}`)],
    ["a flipped bit in what it stands for", (records) => flipIn(records, "!meta")],
    ["a lost record", (records) => void records.delete(`key-${1 + pick(19)}`)],
    [
      "a record that came back",
      (records, older) => void records.set("key-0", must(older.get("key-0"), "it was there")),
    ],
    ["an old value", (records, older) => void records.set("key-7", must(older.get("key-7"), "it was there"))],
    ["exchanged values", (records) => exchange(records, "key-1", "key-2")],
    ["nothing", (records) => records.clear()],
    ["no position", (records) => void records.delete("!meta")],
  ];
  for (const compacted of [true, false]) {
    for (const [name, harm] of harms) {
      const machine = copyOf(aFolder({ compacted }));
      const older = olderRecords();
      harm(machine.stores.contents(1), older);
      const { recovered } = storesOf(machine.open());
      expect([...recovered.image.records], `after ${name}`).toEqual([]);
      expect(recovered.boot.appliedIndex, `after ${name}`).toBe(0);
      expect(recovered.boot.recovering, `after ${name}`).toBe(compacted);
      expect(recovered.boot.entries, `after ${name}`).toHaveLength(compacted ? 0 : 50);
    }
  }
});

test("a member that was found damaged stays so until it is told to be whole, also through crashes", () => {
  let machine = copyOf(aFolder({ compacted: true }));
  machine.disk.corrupt("wal/0000000005.wal", (bytes) => changedAt(bytes, 100, (byte) => byte ^ 1));
  const storage = machine.open();
  const { log } = storesOf(storage);
  const { boot } = storesOf(storage).recovered;
  expect(boot.recovering).toBe(true);
  expect(machine.disk.list("wal/damaged").length).toBeGreaterThan(0);

  const last = boot.entries.at(-1) ?? boot.base.last;
  const entries = entriesFrom(last.index + 1, 3, 3);
  machine.wait((done) => log.persist({ hardState: null, truncateAfter: null, entries }, done));
  machine = machine.killed();
  const again = machine.open();
  expect(again.report).toMatchObject({ damage: [] });
  expect(storesOf(again).recovered.boot.recovering).toBe(true);
  expect(storesOf(again).recovered.boot.entries).toHaveLength(boot.entries.length + 3);

  expect(machine.wait((done) => storesOf(again).log.markRecovered(done))).toBe(null);
  machine = machine.killed();
  expect(storesOf(machine.open()).recovered.boot.recovering).toBe(false);
  expect(machine.disk.list("wal/damaged")).toEqual([]);
});

test("a start that is interrupted while it repairs never makes a damaged member look whole", () => {
  const folder = aFolder({ compacted: true });
  for (const path of ["wal/0000000005.wal", "floor"]) {
    for (let steps = 1; steps < 40; steps += 1) {
      for (let variant = 0; variant < 3; variant += 1) {
        let machine = copyOf(folder);
        machine.disk.corrupt(path, (bytes) => filled(bytes, 0, bytes.length, () => 0));
        machine.startOpen(limits, "n1", () => {});
        for (let step = 0; step < steps; step += 1) machine.stepOnce();
        machine = machine.crashed(seededRandom(steps * 10 + variant));
        expect(storesOf(machine.open()).recovered.boot.recovering, `after ${steps} steps`).toBe(true);
      }
    }
  }
});

test("a start that is interrupted while it repairs forgets no vote, and the member goes on in its term", () => {
  const before = aFolder({ compacted: true });
  const hardState = { term: 4, vote: "n1" };
  const { log } = storesOf(before.open());
  before.wait((done) => log.persist({ hardState, truncateAfter: null, entries: [] }, done));
  const folder = before.killed();
  const newest = must(
    [...folder.disk.files().keys()]
      .filter((path) => path.startsWith("wal/"))
      .toSorted()
      .at(-1),
    "there is a segment",
  );
  for (let steps = 0; steps < 40; steps += 1) {
    let machine = copyOf(folder);
    machine.disk.corrupt(newest, (bytes) => changedAt(bytes, bytes.length - 1, (byte) => byte ^ 1));
    machine.startOpen(limits, "n1", () => {});
    for (let step = 0; step < steps; step += 1) machine.stepOnce();
    machine = machine.crashed(seededRandom(steps));

    const stores = storesOf(machine.open());
    const { boot } = stores.recovered;
    expect(boot, `after ${steps} steps`).toMatchObject({ hardState, recovering: true });
    const entries = entriesFrom((boot.entries.at(-1) ?? boot.base.last).index + 1, 2, hardState.term);
    expect(
      machine.wait((done: (failure: unknown) => void) =>
        stores.log.persist({ hardState: null, truncateAfter: null, entries }, done),
      ),
    ).toBe(null);

    const again = storesOf(machine.killed().open()).recovered.boot;
    expect(again, `after ${steps} steps, and again`).toMatchObject({ hardState, recovering: true });
    expect(again.entries).toHaveLength(boot.entries.length + entries.length);
  }
});

const limits = { segmentBytesMax: 600, groupBytesMax: 1_000_000, floorLagMs: 1_000, floorLagEntries: 4 };

/** What became of an injury. Fails when the member goes on with something that it never knew, and does not say so. */
function judge(
  machine: Machine,
  healthy: MemberStores["recovered"],
  what: string,
): "same" | "recovering" | "refused" {
  let storage: Storage;
  try {
    storage = machine.open();
  } catch (error) {
    if (error instanceof StorageRefusal) return "refused";
    throw new Error(what, { cause: error });
  }
  const { recovered } = storesOf(storage);
  if (recovered.boot.recovering) {
    // What is left has to be true as far as it goes.
    const untrue = recovered.boot.entries.find(({ index, term }) => term !== termOf(index, term));
    if (untrue !== undefined || storage.report.recovering === null)
      throw new Error(`${what}: entry ${untrue?.index} is of term ${untrue?.term}`);
    return "recovering";
  }
  expect(memoryOf(recovered), `after ${what}`).toEqual(memoryOf(healthy));
  return "same";
}

/** Entries 37 to 39 were written in term 2, cut, and written again in term 3: both were true once. */
function termOf(index: number, found: number): number {
  if (index === 1) return 1;
  if (index >= 37 && index <= 39) return found === 2 ? 2 : 3;
  return index < 37 ? 2 : 3;
}

/** The values that the image had one batch earlier. */
function olderRecords(): Map<string, Uint8Array> {
  const { machine, storage } = Machine.founded();
  const puts = Array.from({ length: 20 }, (_, i) => [`key-${i}`, `value ${i}`] as const);
  machine.wait((done) =>
    storesOf(storage).state.write({ puts, deletes: [], base: baseAt(20, 2), sync: true }, done),
  );
  const disk = new MemoryDisk();
  const stores: MemoryStores = machine.stores.kill(disk);
  return stores.contents(1);
}

function pick(below: number): number {
  return Math.floor(random() * below);
}

function changedAt(bytes: Uint8Array, position: number, change: (byte: number) => number): Uint8Array {
  return bytes.map((byte, i) => (i === position ? change(byte) : byte));
}

function filled(bytes: Uint8Array, from: number, length: number, byteAt: () => number): Uint8Array {
  return bytes.map((byte, i) => (i >= from && i < from + length ? byteAt() : byte));
}

function without(bytes: Uint8Array, position: number, count: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, position), bytes.subarray(position + count)]);
}

function repeated(bytes: Uint8Array, position: number, count: number): Uint8Array {
  const block = bytes.subarray(position, position + count);
  return Buffer.concat([bytes.subarray(0, position + count), block, bytes.subarray(position + count)]);
}

function flipIn(records: Map<string, Uint8Array>, key: string): void {
  const value = must(records.get(key), `there is a record ${key}`);
  records.set(
    key,
    changedAt(value, pick(value.length), (byte) => byte ^ (1 << pick(8))),
  );
}

function exchange(records: Map<string, Uint8Array>, a: string, b: string): void {
  const [first, second] = [must(records.get(a), a), must(records.get(b), b)];
  records.set(a, second);
  records.set(b, first);
}

test("a file that cannot be read ends the start in one sentence, and changes nothing", () => {
  const folder = aFolder({ compacted: true });
  const before = folder.disk.files();
  for (const path of before.keys()) {
    const machine = copyOf(folder);
    machine.disk.readFault = (read) => (read === path ? "EIO" : null);
    expect(() => machine.open(), `with ${path}`).toThrow(StorageRefusal);
    expect(machine.disk.files(), `with ${path}`).toEqual(before);
  }
});
