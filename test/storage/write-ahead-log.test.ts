import { expect, test } from "vitest";
import type { LogWrite, StorageFailure } from "../../src/replica/ports.ts";
import { must } from "../../src/raft/assert.ts";
import type { Storage, MemberStores } from "../../src/storage/open-storage.ts";
import type { Fault, DiskOperation } from "../support/memory-disk.ts";
import {
  anEntry,
  baseAt,
  entriesFrom,
  Machine,
  memoryOf,
  membership,
  plainEntry,
  smallLimits,
} from "./machine.ts";

function storesOf(storage: Storage): MemberStores {
  return must(storage.stores, "the member belongs to a cluster");
}

function write(change: Partial<LogWrite>): LogWrite {
  return { hardState: null, truncateAfter: null, entries: [], ...change };
}

function persist(machine: Machine, storage: Storage, change: Partial<LogWrite>): StorageFailure | null {
  return machine.wait((done) => storesOf(storage).log.persist(write(change), done));
}

/** Fails the first operation that matches, and lets all others through. */
function failOnce(machine: Machine, kind: DiskOperation["kind"], path: RegExp, fault: Fault): void {
  let isOver = false;
  machine.disk.fault = (operation) => {
    if (isOver || operation.kind !== kind || !path.test(operation.path)) return null;
    isOver = true;
    return fault;
  };
}

test("a restart finds the hard state, the entries and the cut as they were written", () => {
  const { machine, storage } = Machine.founded();
  persist(machine, storage, { hardState: { term: 2, vote: "n2" }, entries: entriesFrom(2, 5, 2) });
  persist(machine, storage, {
    hardState: { term: 3, vote: null },
    truncateAfter: 4,
    entries: entriesFrom(5, 2, 3),
  });

  const { boot } = storesOf(machine.killed().open()).recovered;

  expect(boot.hardState).toEqual({ term: 3, vote: null });
  expect(boot.entries.map(({ index, term }) => `${index}@${term}`)).toEqual([
    "1@1",
    "2@2",
    "3@2",
    "4@2",
    "5@3",
    "6@3",
  ]);
  expect(boot.entries.slice(4).map(plainEntry)).toEqual(entriesFrom(5, 2, 3).map(plainEntry));
  expect(boot.recovering).toBe(false);
});

test("what is asked for in one turn, and while a write is under way, becomes one write and one sync", () => {
  const { machine, storage } = Machine.founded({
    ...smallLimits,
    segmentBytesMax: 1_000_000,
    floorLagEntries: 1_000,
  });
  const { log } = storesOf(storage);
  persist(machine, storage, { hardState: { term: 1, vote: "n1" } });
  const operations: string[] = [];
  machine.disk.onQueued = ({ kind }) => operations.push(kind);
  const finished: number[] = [];
  const ask = (index: number): void =>
    log.persist(write({ entries: [anEntry(index, 1)] }), () => finished.push(index));

  ask(2);
  ask(3);
  machine.time.runFor(0);
  ask(4);
  ask(5);
  expect(finished).toEqual([]);
  machine.settle();

  expect(operations).toEqual(["write", "sync", "write", "sync"]);
  expect(finished).toEqual([2, 3, 4, 5]);
});

test("a vote is in the floor before anybody is told of it", () => {
  const { machine, storage } = Machine.founded();
  const operations: string[] = [];
  machine.disk.onQueued = ({ kind, path }) => operations.push(`${kind} ${path}`);
  persist(machine, storage, { hardState: { term: 7, vote: "n3" } });
  expect(operations).toEqual([
    "write wal/0000000001.wal",
    "sync wal/0000000001.wal",
    "write floor",
    "sync floor",
  ]);
});

test("the floor follows the log after a second, or after so many entries", () => {
  const { machine, storage } = Machine.founded({ ...smallLimits, segmentBytesMax: 1_000_000 });
  const floorWrites = (): number => operations.filter((path) => path === "floor").length;
  const operations: string[] = [];
  machine.disk.onQueued = ({ kind, path }) => void (kind === "write" && operations.push(path));
  persist(machine, storage, { entries: entriesFrom(2, 2, 1) });
  expect(floorWrites()).toBe(0);
  machine.time.runFor(smallLimits.floorLagMs);
  machine.settle();
  expect(floorWrites()).toBe(1);
  persist(machine, storage, { entries: entriesFrom(4, 4, 1) });
  expect(floorWrites()).toBe(2);
});

test("segments are followed by others when they are full, and go when the log begins after them", () => {
  const { machine, storage } = Machine.founded();
  const { log, state } = storesOf(storage);
  for (let index = 2; index <= 60; index += 1) persist(machine, storage, { entries: [anEntry(index, 1)] });
  const before = machine.disk.list("wal");
  expect(before.length).toBeGreaterThan(4);

  const base = baseAt(50, 1);
  machine.wait((done) => state.write({ puts: [["a", 1]], deletes: [], base, sync: true }, done));
  expect(machine.wait((done) => log.compact(base, done))).toBe(null);

  expect(machine.disk.list("wal").length).toBeLessThan(before.length);
  const { boot } = storesOf(machine.killed().open()).recovered;
  expect(boot.base).toEqual(base);
  expect(boot.entries.map(plainEntry)).toEqual(entriesFrom(51, 10, 1).map(plainEntry));
  expect(boot.appliedIndex).toBe(50);
});

test("a write that finds the disk full is cut back, and the same write succeeds later", () => {
  const { machine, storage } = Machine.founded({ ...smallLimits, segmentBytesMax: 1_000_000 });
  const { log } = storesOf(storage);
  failOnce(machine, "write", /wal/, { code: "ENOSPC", writtenBytes: 30 });
  const ends: (string | null)[] = [];
  for (const index of [2, 3]) {
    log.persist(write({ entries: [anEntry(index, 1)] }), (failure) => ends.push(failure?.kind ?? null));
    machine.time.runFor(0);
  }
  machine.settle();
  expect(ends).toEqual(["full", "full"]);
  expect(storesOf(machine.killed().open()).recovered.boot.entries).toHaveLength(1);
});

test("after a full disk the log goes on where it ended", () => {
  for (const [kind, segmentBytesMax] of [
    ["write", 1_000_000],
    ["write", 1],
    ["open", 1],
  ] as const) {
    const { machine, storage } = Machine.founded({ ...smallLimits, segmentBytesMax });
    failOnce(machine, kind, /wal/, { code: "ENOSPC", writtenBytes: 30 });
    expect(persist(machine, storage, { entries: entriesFrom(2, 1, 1) })?.kind).toBe("full");
    expect(persist(machine, storage, { entries: entriesFrom(2, 1, 1) })).toBe(null);
    expect(persist(machine, storage, { entries: entriesFrom(3, 1, 1) })).toBe(null);
    const again = machine.killed().open();
    expect(again.report.damage).toEqual([]);
    expect(storesOf(again).recovered.boot.entries).toHaveLength(3);
  }
});

test.each([
  ["an error while writing", "write", { code: "EIO" }],
  ["a failed sync", "sync", { code: "EIO" }],
  ["a sync that finds the disk full", "sync", { code: "ENOSPC" }],
] as const)("%s ends the log for good: nothing is tried again", (_, kind, fault) => {
  const { machine, storage } = Machine.founded();
  failOnce(machine, kind, /wal/, fault);
  expect(persist(machine, storage, { entries: entriesFrom(2, 1, 1) })?.kind).toBe("failed");
  const executed = machine.disk.executed;
  expect(persist(machine, storage, { entries: entriesFrom(2, 1, 1) })?.kind).toBe("failed");
  expect(machine.disk.executed).toBe(executed);
});

test("a vote whose floor cannot be written is not given", () => {
  const { machine, storage } = Machine.founded();
  failOnce(machine, "write", /floor/, { code: "ENOSPC" });
  expect(persist(machine, storage, { hardState: { term: 2, vote: "n1" } })?.kind).toBe("failed");
});

test("a disk that hangs shows by the age of what is under way", () => {
  const { machine, storage } = Machine.founded();
  const { log } = storesOf(storage);
  expect(log.oldestPendingMs(machine.time.nowMs)).toBe(0);
  failOnce(machine, "sync", /wal/, "hang");
  log.persist(write({ entries: entriesFrom(2, 1, 1) }), () => expect.unreachable());
  machine.settle();
  machine.time.runFor(700);
  expect(log.oldestPendingMs(machine.time.nowMs)).toBe(700);
});

test("a write that does not continue the log is a mistake of the caller and throws", () => {
  const { machine, storage } = Machine.founded();
  const { log } = storesOf(storage);
  expect(() => log.persist(write({ entries: entriesFrom(3, 1, 1) }), () => {})).toThrow(
    "entry 3@1 follows 1@1",
  );
  expect(() => log.persist(write({ entries: entriesFrom(2, 1, 9) }), () => {})).toThrow(
    "later term than the hard state",
  );
  expect(() => log.compact(baseAt(9, 1), () => {})).toThrow("cannot be compacted");
  expect(machine.disk.pending).toEqual([]);
});

test("a received snapshot replaces the log, or only its beginning", () => {
  for (const keepTail of [true, false]) {
    const { machine, storage } = Machine.founded();
    const { log, state } = storesOf(storage);
    persist(machine, storage, { entries: entriesFrom(2, 9, 1) });
    const base = baseAt(6, 1);
    machine.wait((done) => state.write({ puts: [], deletes: [], base, sync: true }, done));
    expect(machine.wait((done) => log.reset(base, keepTail, done))).toBe(null);
    const kept = keepTail ? entriesFrom(7, 4, 1) : [];
    const next = entriesFrom(keepTail ? 11 : 7, 1, 1);
    expect(persist(machine, storage, { entries: next })).toBe(null);
    const expected = [...kept, ...next];
    expect(memoryOf(storesOf(machine.killed().open()).recovered)).toEqual(
      memoryOf({
        boot: {
          hardState: { term: 1, vote: null },
          base,
          entries: expected,
          appliedIndex: 6,
          recovering: false,
        },
        image: { base, records: [], packedRecords: [] },
      }),
    );
  }
});

test("closing finishes what was asked for and brings the floor up to date", () => {
  const { machine, storage } = Machine.founded();
  let stored: StorageFailure | null | undefined;
  storesOf(storage).log.persist(write({ entries: entriesFrom(2, 1, 1) }), (failure) => {
    stored = failure;
  });
  expect(machine.wait((done) => storage.close(done))).toBe(null);
  expect(stored).toBe(null);
  // Whatever is cut off now was covered by the floor.
  const after = machine.killed();
  after.disk.corrupt("wal/0000000001.wal", (bytes) => bytes.slice(0, -1));
  expect(after.open().report.recovering).toContain("was durable");
});

test("the folder of a founded member holds its identity, its floor and one segment", () => {
  const { machine } = Machine.founded();
  expect([...machine.disk.files().keys()].toSorted()).toEqual([
    "floor",
    "identity.json",
    "wal/0000000001.wal",
  ]);
  const { boot } = storesOf(machine.killed().open()).recovered;
  expect(boot.entries).toEqual([{ kind: "membership", term: 1, index: 1, clusterTime: 0, membership }]);
});
