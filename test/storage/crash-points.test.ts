// Cuts the power after every single operation of a history that has everything in it, several times each with other remains, and starts
// again: everything acknowledged must be there, and nothing unacknowledged may be half there.

import { expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type { Entry, HardState } from "../../src/raft/types.ts";
import { entryToArray } from "../../src/raft/wire.ts";
import type { LogBase, LogWrite } from "../../src/replica/ports.ts";
import { baseToArray, emptyBase } from "../../src/storage/log-base.ts";
import type { MemberStores, Storage } from "../../src/storage/open-storage.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { seededRandom } from "../support/random.ts";
import { baseAt, entriesFrom, Machine, membership, smallLimits } from "./machine.ts";

/** What a member knows, as simply as it can be said. */
interface Memory {
  readonly hardState: HardState;
  readonly base: LogBase;
  readonly entries: readonly Entry[];
}

interface Step {
  readonly name: string;
  readonly run: (machine: Machine, stores: MemberStores, done: () => void) => void;
  /** What is known once the step is done. */
  readonly after: (before: Memory) => Memory;
  /** The image that is durable once the step is done; null when the step writes none. */
  readonly syncedImage: number | null;
}

function persist(change: Partial<LogWrite>): Step {
  const write: LogWrite = { hardState: null, truncateAfter: null, entries: [], ...change };
  const { hardState, truncateAfter, entries } = write;
  return {
    name: `persist ${JSON.stringify({ hardState, truncateAfter, entries: entries.length })}`,
    run: (_, { log }, done) => log.persist(write, mustSucceed(done)),
    after: (before) => ({
      ...before,
      hardState: hardState ?? before.hardState,
      entries: [
        ...before.entries.filter((entry) => truncateAfter === null || entry.index <= truncateAfter),
        ...entries,
      ],
    }),
    syncedImage: null,
  };
}

function writeImage(index: number, term: number, sync: boolean): Step {
  return {
    name: `image at ${index}, ${sync ? "synced" : "not synced"}`,
    run: (_, { state }, done) => {
      const puts = [["applied", index] as const, [`at-${index}`, "x".repeat(40)] as const];
      state.write({ puts, deletes: [], base: baseAt(index, term), sync }, mustSucceed(done));
    },
    after: (before) => before,
    syncedImage: sync ? index : null,
  };
}

function compact(index: number, term: number): Step {
  const base = baseAt(index, term);
  return {
    name: `compact to ${index}`,
    run: (_, { log }, done) => log.compact(base, mustSucceed(done)),
    after: (before) => begunAt(base, before, true),
    syncedImage: null,
  };
}

/** Receives another member's image and lets the log begin after it. */
function install(index: number, term: number, keepTail: boolean): Step {
  const base = baseAt(index, term);
  return {
    name: `install ${index}, ${keepTail ? "keeping what follows" : "replacing the log"}`,
    run: (_, { log, state }, done) => {
      const sink = state.receiveImage({ id: "s", ...base });
      const write = (i: number): void => {
        const chunk = chunksOf(index, term)[i];
        if (chunk !== undefined)
          return sink.write(
            chunk,
            mustSucceed(() => write(i + 1)),
          );
        sink.commit((failure, image) => {
          expect(failure).toBe(null);
          expect(image?.base).toEqual(base);
          log.reset(base, keepTail, mustSucceed(done));
        });
      };
      write(0);
    },
    after: (before) => begunAt(base, before, keepTail),
    syncedImage: index,
  };
}

function begunAt(base: LogBase, before: Memory, keepTail: boolean): Memory {
  const entries = before.entries.filter((entry) => keepTail && entry.index > base.last.index);
  return { ...before, base, entries };
}

const second: Step = {
  name: "a second passes",
  run: (machine, _, done) => {
    machine.time.after(smallLimits.floorLagMs, done);
    machine.time.runFor(smallLimits.floorLagMs);
  },
  after: (before) => before,
  syncedImage: null,
};

/** Steps of one row are asked for together. */
const history: readonly (readonly Step[])[] = [
  [persist({ hardState: { term: 2, vote: "n2" }, entries: entriesFrom(2, 3, 2) })],
  [persist({ entries: entriesFrom(5, 2, 2) }), persist({ entries: entriesFrom(7, 3, 2) })],
  [writeImage(4, 2, false), persist({ hardState: { term: 3, vote: null } })],
  [persist({ truncateAfter: 7, entries: entriesFrom(8, 4, 3) })],
  [second],
  [writeImage(6, 2, true)],
  [persist({ entries: entriesFrom(12, 6, 3) }), compact(6, 2), persist({ entries: entriesFrom(18, 6, 3) })],
  [
    persist({ hardState: { term: 4, vote: "n1" } }),
    persist({ truncateAfter: 20, entries: entriesFrom(21, 1, 4) }),
  ],
  [writeImage(15, 3, true)],
  [compact(15, 3)],
  [install(19, 3, true)],
  [persist({ hardState: { term: 6, vote: null } }), persist({ entries: entriesFrom(22, 2, 6) })],
  [install(40, 6, false)],
  [persist({ entries: entriesFrom(41, 8, 6) })],
  [writeImage(44, 6, true), persist({ entries: entriesFrom(49, 3, 6) })],
  [compact(44, 6)],
];

test("after a crash at any moment everything acknowledged is there, and nothing is half there", () => {
  const faults: unknown[] = [];
  const total = operationsOf(history);
  expect(total).toBeGreaterThan(100);
  for (let operations = 1; operations <= total; operations += 1) {
    for (let variant = 0; variant < 4; variant += 1) {
      const seed = operations * 10 + variant;
      const run = runUntil(operations, seed, new MemoryDisk());
      faults.push(faultOf(startAgain(run.crashed, seed), { ...run, seed }));
    }
  }
  expect(faults.filter((fault) => fault !== null)).toEqual([]);
});

test("kill -9 alone loses nothing that was written", () => {
  const faults: unknown[] = [];
  for (let operations = 1; operations <= operationsOf(history); operations += 7) {
    const run = runUntil(operations, 1, new MemoryDisk(), (machine) => machine.killed());
    faults.push(faultOf(run.crashed.open(), { ...run, seed: operations }));
  }
  expect(faults.filter((fault) => fault !== null)).toEqual([]);
});

test("what a start finds after kill -9 it has made durable: a power loss then takes nothing of it", () => {
  for (let operations = 1; operations <= operationsOf(history); operations += 1) {
    const { crashed: killed } = runUntil(operations, operations, new MemoryDisk(), (machine) =>
      machine.killed(),
    );
    const told = toldBy(killed.open());
    const again = toldBy(killed.crashed(seededRandom(operations)).open());
    expect(again, `seed=${operations}`).toEqual(told);
  }
});

test("a promise, and an entry into a cluster, are kept once they were acknowledged, through kills and power losses", () => {
  for (let operations = 1; ; operations += 1) {
    for (let variant = 0; variant < 4; variant += 1) {
      const seed = operations * 10 + variant;
      const random = seededRandom(seed);
      const { machine, acknowledged } = promiseAndJoin(operations);
      const storage = machine.crashed(random).open();
      expect(keeps(storage, acknowledged), `seed=${seed}`).toBe(true);
      const killed = promiseAndJoin(operations).machine.killed();
      const told = killed.open();
      expect(keeps(told, acknowledged), `seed=${seed}`).toBe(true);
      expect(toldBy(killed.crashed(random).open()), `seed=${seed}`).toEqual(toldBy(told));
    }
    if (promiseAndJoin(operations).acknowledged === 2) break;
  }
});

test.each([
  ["the newest segment", 1],
  ["a new segment", 20],
])("a write to %s that finds no room may be interrupted while it is cut back", (_, entriesBefore) => {
  const outcomes = new Set<string>();
  for (let operations = 0; operations < 12; operations += 1) {
    for (let variant = 0; variant < 4; variant += 1) {
      const { machine, storage } = Machine.founded();
      const { log } = must(storage.stores, "founded");
      const write = (first: number, count: number): LogWrite => ({
        hardState: null,
        truncateAfter: null,
        entries: entriesFrom(first, count, 1),
      });
      machine.wait((done) => log.persist(write(2, entriesBefore), done));
      machine.disk.fault = ({ kind }) => (kind === "write" ? { code: "ENOSPC", writtenBytes: 30 } : null);
      const results: unknown[] = [];
      log.persist(write(entriesBefore + 2, 3), (failure) => void results.push(failure?.kind));
      for (let step = 0; step < operations; step += 1) machine.stepOnce();
      outcomes.add(results.join());
      const seed = operations * 10 + variant;
      const { boot } = must(machine.crashed(seededRandom(seed)).open().stores, "a member").recovered;
      expect(boot.recovering, `seed=${seed}`).toBe(false);
      expect(boot.entries.at(-1)?.index, `seed=${seed}`).toBe(entriesBefore + 1);
    }
  }
  expect([...outcomes]).toEqual(["", "full"]);
});

test("the check itself: on a disk that ignores syncs, power losses lose what was acknowledged", () => {
  const faults: unknown[] = [];
  for (let operations = 40; operations <= operationsOf(history); operations += 5) {
    const disk = new MemoryDisk();
    disk.ignoresSyncs = true;
    const run = runUntil(operations, operations, disk);
    try {
      faults.push(faultOf(run.crashed.open(), { ...run, seed: operations }));
    } catch (error) {
      // So little is left that the folder is refused.
      faults.push(error);
    }
  }
  expect(faults.filter((fault) => fault !== null).length).toBeGreaterThan(5);
});

/** Everything that a member acts on after a start. */
function toldBy({ identity, stores }: Storage): unknown {
  if (stores === null) return identity;
  const { boot, image } = stores.recovered;
  return [identity, rendered(boot), boot.recovering, boot.appliedIndex, image.base];
}

/** A member that promises and then, without a founding entry, joins; acknowledged are 0, 1 or both of them. */
function promiseAndJoin(operations: number): { readonly machine: Machine; readonly acknowledged: number } {
  const machine = new Machine();
  let acknowledged = 0;
  machine.startOpen(smallLimits, "n1", (_, storage) => {
    storage?.savePromise("c1", () => {
      acknowledged = 1;
      storage.join("c1", null, () => {
        acknowledged = 2;
      });
    });
  });
  while (machine.disk.executed < operations && machine.stepOnce());
  return { machine, acknowledged };
}

function keeps({ identity, stores }: Storage, acknowledged: number): boolean {
  if (acknowledged === 2 || identity.clusterId !== null)
    return identity.clusterId === "c1" && stores?.recovered.boot.recovering === false;
  return acknowledged === 0 || identity.promisedClusterId === "c1";
}

interface Run {
  /** How many steps were acknowledged, and how many were asked for. */
  readonly acknowledged: number;
  readonly started: number;
}

/** Runs the history until so many operations are done, and cuts the power. */
function runUntil(
  operations: number,
  seed: number,
  disk: MemoryDisk,
  end: (machine: Machine, random: () => number) => Machine = (machine, random) => machine.crashed(random),
): Run & { readonly crashed: Machine } {
  const machine = new Machine(disk);
  const progress = begin(machine);
  while (machine.disk.executed < operations && machine.stepOnce());
  return { ...progress, crashed: end(machine, seededRandom(seed)) };
}

function operationsOf(rows: typeof history): number {
  const machine = new Machine();
  const progress = begin(machine);
  machine.settle();
  expect(progress.acknowledged).toBe(rows.flat().length + 1);
  return machine.disk.executed;
}

/** Founds a member and plays the history on it. The founding is the first step. */
function begin(machine: Machine): { acknowledged: number; started: number } {
  const progress = { acknowledged: 0, started: 0 };
  const playRow = (stores: MemberStores, row: number): void => {
    const steps = history[row];
    if (steps === undefined) return;
    let open = steps.length;
    for (const step of steps) {
      progress.started += 1;
      step.run(machine, stores, () => {
        progress.acknowledged += 1;
        open -= 1;
        if (open === 0) playRow(stores, row + 1);
      });
    }
  };
  machine.startOpen(smallLimits, "n1", (error, storage) => {
    expect(error).toBe(null);
    progress.started = 1;
    storage?.join("c1", membership, (joinError) => {
      expect(joinError).toBe(null);
      progress.acknowledged = 1;
      playRow(must(storage.stores, "joined"), 0);
    });
  });
  return progress;
}

/** Starts after a crash, and now and then is interrupted by another one while it does. */
function startAgain(machine: Machine, seed: number): Storage {
  const random = seededRandom(seed + 1_000_000);
  let current = machine;
  while (random() < 0.3) {
    current.startOpen(smallLimits, "n1", () => {});
    for (let steps = Math.floor(random() * 20); steps > 0 && current.stepOnce(); steps -= 1);
    current = random() < 0.5 ? current.killed() : current.crashed(random);
  }
  const storage = current.open();
  if (storage.stores !== null) proveThatItGoesOn(current, storage.stores);
  return storage;
}

/** A member that has started can write, and finds it again. */
function proveThatItGoesOn(machine: Machine, { log, recovered }: MemberStores): void {
  const { boot } = recovered;
  const last = boot.entries.at(-1) ?? boot.base.last;
  const { term } = boot.hardState;
  const entries = entriesFrom(last.index + 1, 2, term);
  const failure = machine.wait((done: (failure: unknown) => void) =>
    log.persist({ hardState: null, truncateAfter: null, entries }, done),
  );
  expect(failure).toBe(null);
  const again = must(machine.killed().open().stores, "it still belongs to the cluster").recovered.boot;
  expect(again.entries.length).toBe(boot.entries.length + 2);
  expect(again.recovering).toBe(boot.recovering);
}

/** What is wrong with a member that has started again; null when it knows all that it must, and nothing that it cannot. */
function faultOf(
  storage: Storage,
  { acknowledged, started, seed }: Run & { readonly seed: number },
): string | null {
  const where = `seed=${seed} after ${acknowledged} of ${started} steps, the last ${stepName(acknowledged - 1)}`;
  const { stores, report } = storage;
  if (stores === null) return acknowledged === 0 ? null : `${where}: it has forgotten its cluster`;
  if (report.recovering !== null) return `${where}: it is recovering, ${report.recovering}`;
  const { boot, image } = stores.recovered;
  const found = rendered({ hardState: boot.hardState, base: boot.base, entries: boot.entries });
  const allowed = memories().slice(Math.max(acknowledged, 1), started + 1);
  if (!allowed.map(rendered).includes(found)) return `${where}: it knows ${found}`;
  const position = image.base.last.index;
  const steps = history.flat().slice(0, Math.max(0, acknowledged - 1));
  const synced = Math.max(0, ...steps.map((step) => step.syncedImage ?? 0));
  if (position < synced) return `${where}: its image is at ${position}, and one at ${synced} was durable`;
  const applied = new Map(image.records).get("applied") ?? 0;
  return applied === position ? null : `${where}: its image at ${position} holds another state`;
}

/** What is known after so many steps; the founding is the first. */
function memories(): readonly Memory[] {
  const nothing: Memory = { hardState: { term: 0, vote: null }, base: emptyBase, entries: [] };
  const founded: Memory = {
    hardState: { term: 1, vote: null },
    base: emptyBase,
    entries: [{ kind: "membership", term: 1, index: 1, clusterTime: 0, membership }],
  };
  const all = [nothing, founded];
  for (const step of history.flat()) all.push(step.after(must(all.at(-1), "a history has a beginning")));
  return all;
}

function rendered({ hardState, base, entries }: Memory): string {
  const { term, vote } = hardState;
  const plain = entries.map((entry) =>
    entryToArray(entry).map((field) => (field instanceof Uint8Array ? [...field] : field)),
  );
  return JSON.stringify([[term, vote], baseToArray(base), plain]);
}

function stepName(i: number): string {
  return i < 1 ? "the founding" : (history.flat()[i - 1]?.name ?? "none");
}

function mustSucceed(done: () => void): (failure: unknown) => void {
  return (failure) => {
    expect(failure).toBe(null);
    done();
  };
}

const chunkCache = new Map<number, readonly Uint8Array[]>();

/** The chunks of an image as another member would send it. */
function chunksOf(index: number, term: number): readonly Uint8Array[] {
  const cached = chunkCache.get(index);
  if (cached !== undefined) return cached;
  const { machine, storage } = Machine.founded();
  const { state } = must(storage.stores, "founded");
  const puts = [["applied", index] as const, ["b", "y".repeat(100)] as const];
  machine.wait((done) => state.write({ puts, deletes: [], base: baseAt(index, term), sync: true }, done));
  const chunks: Uint8Array[] = [];
  state.openImage((_, source) => {
    const read = (position: number): void =>
      source?.read(position, (failure, chunk) => {
        expect(failure).toBe(null);
        if (chunk === null) return;
        chunks.push(chunk);
        read(position + 1);
      });
    read(0);
  });
  machine.settle();
  chunkCache.set(index, chunks);
  return chunks;
}
