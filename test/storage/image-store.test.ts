// The image of the state machine over a store in memory: what is written, received and refused.

import { expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type {
  ImageSource,
  LogBase,
  StateImage,
  StateRecord,
  StateStore,
  StorageFailure,
} from "../../src/replica/ports.ts";
import { baseAt, Machine } from "./machine.ts";

const someRecords: readonly StateRecord[] = [
  ["a", 1],
  ["b", [true, null, "text", 2 ** 40, -3]],
  ["ü/ключ", "not only ASCII"],
];

function stateOf(machine: Machine): StateStore {
  const storage = machine.open();
  if (storage.stores === null) {
    machine.wait((done) => storage.join("c1", { voters: [], outgoing: [], learners: [], members: [] }, done));
  }
  return must(storage.stores, "a member").state;
}

function write(
  machine: Machine,
  state: StateStore,
  puts: readonly StateRecord[],
  base: LogBase,
  deletes: readonly string[] = [],
): StorageFailure | null {
  return machine.wait((done) => state.write({ puts, deletes, base, sync: true }, done));
}

function openImage(machine: Machine, state: StateStore): ImageSource {
  const [failure, source] = machine.wait<readonly [StorageFailure | null, ImageSource | null]>((done) =>
    state.openImage((...result) => done(result)),
  );
  expect(failure).toBe(null);
  return must(source, "there is an image");
}

function readChunk(machine: Machine, source: ImageSource, position: number): Uint8Array | null {
  const [failure, chunk] = machine.wait<readonly [StorageFailure | null, Uint8Array | null]>((done) =>
    source.read(position, (...result) => done(result)),
  );
  expect(failure).toBe(null);
  return chunk;
}

function chunksOf(records: readonly StateRecord[], base: LogBase): readonly Uint8Array[] {
  const machine = new Machine();
  const state = stateOf(machine);
  expect(write(machine, state, records, base)).toBe(null);
  const source = openImage(machine, state);
  const chunks: Uint8Array[] = [];
  for (
    let chunk = readChunk(machine, source, 0);
    chunk !== null;
    chunk = readChunk(machine, source, chunks.length)
  ) {
    chunks.push(chunk);
  }
  return chunks;
}

function install(
  chunks: readonly Uint8Array[],
  base: LogBase,
): { readonly machine: Machine; readonly image: StateImage | null } {
  const machine = new Machine();
  const sink = stateOf(machine).receiveImage({ id: "s", ...base });
  for (const chunk of chunks) expect(machine.wait((done) => sink.write(chunk, done))).toBe(null);
  const [failure, image] = machine.wait<readonly [StorageFailure | null, StateImage | null]>((done) =>
    sink.commit((...result) => done(result)),
  );
  expect(failure).toBe(null);
  return { machine, image };
}

test("records are put, replaced and deleted, and read back as they were", () => {
  const machine = new Machine();
  const state = stateOf(machine);
  write(machine, state, someRecords, baseAt(1, 1));
  write(
    machine,
    state,
    [
      ["a", "again"],
      ["c", []],
    ],
    baseAt(1, 1),
    ["b", "never there"],
  );
  const { image } = must(machine.killed().open().stores, "a member").recovered;
  expect(new Map(image.records)).toEqual(
    new Map<string, unknown>([
      ["a", "again"],
      ["c", []],
      ["ü/ключ", "not only ASCII"],
    ]),
  );
});

test("a batch that is encoded in many turns is written as one", () => {
  const machine = new Machine();
  const state = stateOf(machine);
  const many = (value: string): StateRecord[] =>
    Array.from({ length: 5_001 }, (_, i) => [`${value}/${i}`, value] as const);
  expect(write(machine, state, many("old"), baseAt(1, 1))).toBe(null);
  const gone = many("old").map(([key]) => key);
  expect(write(machine, state, many("new"), baseAt(1, 1), gone.slice(1))).toBe(null);
  const { image } = must(machine.killed().open().stores, "a member").recovered;
  expect(new Map(image.records)).toEqual(new Map<string, unknown>([["old/0", "old"], ...many("new")]));
});

test("after a failed batch every later one fails, and the next start reads what there is", () => {
  const machine = new Machine();
  const state = stateOf(machine);
  write(machine, state, someRecords, baseAt(1, 1));
  machine.disk.fault = ({ kind }) => (kind === "store" ? { code: "EIO" } : null);
  expect(write(machine, state, [["a", 2]], baseAt(1, 1))?.kind).toBe("failed");
  machine.disk.fault = () => null;
  expect(write(machine, state, [["a", 3]], baseAt(1, 1))?.kind).toBe("failed");
  const { image } = must(machine.killed().open().stores, "a member").recovered;
  expect(new Map(image.records)).toEqual(new Map(someRecords));
});

test("an image that was never written cannot be opened for others", () => {
  const machine = new Machine();
  const state = stateOf(machine);
  const result = machine.wait<unknown>((done) => state.openImage((...both) => done(both)));
  expect(result).toEqual([null, null]);
});

test("an image arrives whole, also when it has no records", () => {
  for (const records of [someRecords, []]) {
    const base = baseAt(7, 2);
    const { image } = install(chunksOf(records, base), base);
    expect(image?.base).toEqual(base);
    expect(new Map(image?.records)).toEqual(new Map(records));
  }
});

test("chunks can be asked for in any order, and again, and are the same", () => {
  const records = Array.from({ length: 3_000 }, (_, i): StateRecord => [`key-${i}`, "x".repeat(300)]);
  const machine = new Machine();
  const state = stateOf(machine);
  write(machine, state, records, baseAt(1, 1));
  const inOrder = chunksOf(records, baseAt(1, 1));
  expect(inOrder.length).toBeGreaterThan(3);
  const source = openImage(machine, state);
  for (const position of [2, 0, 1, 2, inOrder.length - 1]) {
    expect(readChunk(machine, source, position), `chunk ${position}`).toEqual(inOrder[position]);
  }
  expect(readChunk(machine, source, inOrder.length)).toBe(null);
});

test("an image that cannot be read is a failed disk, and not when it was closed meanwhile", () => {
  const machine = new Machine();
  const state = stateOf(machine);
  write(machine, state, someRecords, baseAt(3, 1));
  const failureOf = (source: ImageSource): StorageFailure | null =>
    machine.wait((done) => source.read(0, (failure) => done(failure)));
  const unreadable = openImage(machine, state);
  machine.disk.fault = ({ kind }) => (kind === "store" ? { code: "EIO" } : null);
  expect(failureOf(unreadable)).toMatchObject({ kind: "failed" });

  machine.disk.fault = ({ kind }) => (kind === "store" ? { code: "ENOSPC" } : null);
  expect(write(machine, state, [["c", 1]], baseAt(4, 1))).toMatchObject({ kind: "full" });
  expect(failureOf(unreadable)).toMatchObject({ kind: "full" });
});

test("an image that does not arrive as it was sent is not installed, and the old one stays", () => {
  const records = Array.from({ length: 3_000 }, (_, i): StateRecord => [`key-${i}`, "x".repeat(300)]);
  const base = baseAt(7, 2);
  const chunks = chunksOf(records, base);
  const foreign = chunksOf(someRecords, baseAt(8, 2));
  const flipped = chunks.map((chunk, i) =>
    i === 1 ? chunk.map((byte, at) => (at === 99 ? byte ^ 1 : byte)) : chunk,
  );
  const wrong: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ["nothing", []],
    ["no end", chunks.slice(0, -1)],
    ["a chunk too few", chunks.filter((_, i) => i !== 1)],
    ["a chunk twice", [...chunks.slice(0, 2), ...chunks.slice(1)]],
    ["another order", chunks.toReversed()],
    ["a flipped bit", flipped],
    ["a chunk of another image", [...chunks.slice(0, 1), ...foreign.slice(1)]],
    ["garbage", [new Uint8Array(100)]],
  ];
  for (const [name, sent] of wrong) {
    const { machine, image } = install(sent, base);
    expect(image, `with ${name}`).toBe(null);
    expect(machine.stores.list(), `with ${name}`).toEqual([1]);
  }
});

test("an image may be given up at any moment, and the next one arrives all the same", () => {
  const base = baseAt(7, 2);
  const chunks = chunksOf(someRecords, base);
  for (let steps = 0; steps < 12; steps += 1) {
    const machine = new Machine();
    const state = stateOf(machine);
    const first = state.receiveImage({ id: "s-1", ...base });
    let ends = 0;
    first.write(must(chunks[0], "a chunk"), () => void (ends += 1));
    for (let step = 0; step < steps; step += 1) machine.stepOnce();
    first.abort();
    const second = state.receiveImage({ id: "s-2", ...base });
    for (const chunk of chunks) expect(machine.wait((done) => second.write(chunk, done))).toBe(null);
    const result = machine.wait<unknown>((done) => second.commit((...both) => done(both)));
    expect(result).toMatchObject([null, { base }]);
    expect(ends).toBe(1);
    expect(machine.stores.list()).toEqual([2]);
  }
});

test("a batch changes each key once, and no key that is not the state machine's", () => {
  const batch = { puts: [["a", 1]] as const, deletes: ["a"], base: baseAt(1, 1), sync: false };
  const writing = (changes: Partial<typeof batch> | { readonly puts: readonly StateRecord[] }) => () =>
    stateOf(new Machine()).write({ ...batch, ...changes }, () => {});
  expect(writing({})).toThrow("one change for each key: a");
  expect(writing({ puts: [["!meta", 1]], deletes: [] })).toThrow("begins with a letter");
});

test("a full disk refuses a batch, and once there is room the next one holds it too, without a restart", () => {
  const machine = new Machine();
  const state = stateOf(machine);
  expect(write(machine, state, someRecords, baseAt(3, 1))).toBe(null);
  machine.disk.fault = ({ kind }) => (kind === "store" ? { code: "ENOSPC" } : null);
  for (let i = 0; i < 3; i += 1)
    expect(write(machine, state, [["c", i]], baseAt(4 + i, 1))).toMatchObject({ kind: "full" });
  const [failure, source] = machine.wait<readonly [StorageFailure | null, ImageSource | null]>((done) =>
    state.openImage((...result) => done(result)),
  );
  expect(failure).toMatchObject({ kind: "full" });
  expect(source).toBe(null);

  machine.disk.fault = () => null;
  expect(write(machine, state, [["c", 9]], baseAt(9, 1), ["a"])).toBe(null);
  const { recovered } = must(machine.killed().open().stores, "a member");
  expect(recovered.image.base.last.index).toBe(9);
  expect(new Map(recovered.image.records)).toEqual(new Map([...someRecords.slice(1), ["c", 9]]));
});
