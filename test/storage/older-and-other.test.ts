// Files, groups and records that are right in themselves, and belong to another moment or another history of the same member. Checksums
// alone do not notice them.

import { expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type { LogWrite } from "../../src/replica/ports.ts";
import type { Storage } from "../../src/storage/open-storage.ts";
import { anEntry, baseAt, Machine, smallLimits } from "./machine.ts";

const oneSegment = { ...smallLimits, segmentBytesMax: 1_000_000 };
const segment = "wal/0000000001.wal";
const recordHeaderBytes = 13;

/** A member whose log has one group for each size, each of two entries filled with `fill`; and where the groups begin. */
function aHistory(fill: number): {
  readonly machine: Machine;
  readonly storage: Storage;
  readonly starts: readonly number[];
} {
  const { machine, storage } = Machine.founded(oneSegment);
  const starts: number[] = [];
  for (let index = 2; index < 12; index += 2) {
    starts.push(bytesOf(machine, segment).length);
    const entries = [index, index + 1].map((each) => ({
      ...anEntry(each, 1),
      payload: new Uint8Array(30).fill(fill),
    }));
    persist(machine, storage, { entries });
  }
  return { machine, storage, starts };
}

function persist(machine: Machine, storage: Storage, change: Partial<LogWrite>): void {
  const { log } = must(storage.stores, "founded");
  machine.wait((done: (failure: unknown) => void) =>
    log.persist({ hardState: null, truncateAfter: null, entries: [], ...change }, done),
  );
}

function bytesOf(machine: Machine, path: string): Uint8Array {
  return Uint8Array.from(must(machine.disk.read(path), path));
}

/** Why the member would be recovering if `change` were made to its folder. */
function recoveringAfter(machine: Machine, change: (machine: Machine) => void): string | null {
  const changed = machine.killed();
  change(changed);
  return changed.open(oneSegment).report.recovering;
}

/** `bytes` with the part from `from` to `to` as in `other`. */
function spliced(bytes: Uint8Array, other: Uint8Array, from: number, to: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, from), other.subarray(from, to), bytes.subarray(to)]);
}

/** Where the record ends that begins at `position`. */
function endOfRecord(bytes: Uint8Array, position: number): number {
  return position + recordHeaderBytes + new DataView(bytes.buffer).getUint32(position, true);
}

test("a group of another history, whole and with the right number, is noticed", () => {
  const [one, other] = [aHistory(1), aHistory(2)];
  expect(one.starts).toEqual(other.starts);
  const [from, to] = [must(one.starts[2], "a group"), must(one.starts[3], "a group")];
  const foreign = bytesOf(other.machine, segment);
  const why = recoveringAfter(one.machine, ({ disk }) =>
    disk.corrupt(segment, (bytes) => spliced(bytes, foreign, from, to)),
  );
  expect(why).toContain("does not belong there");
});

test("a record of another history within a group is noticed", () => {
  const [one, other] = [aHistory(1), aHistory(2)];
  const foreign = bytesOf(other.machine, segment);
  const header = must(one.starts[2], "a group");
  const from = endOfRecord(foreign, header);
  const why = recoveringAfter(one.machine, ({ disk }) =>
    disk.corrupt(segment, (bytes) => spliced(bytes, foreign, from, endOfRecord(foreign, from))),
  );
  expect(why).toContain("does not belong there");
});

test("a whole log of another history is noticed, because the floor knows how this one ended", () => {
  const [one, other] = [aHistory(1), aHistory(2)];
  const foreign = bytesOf(other.machine, segment);
  const why = recoveringAfter(one.machine, ({ disk }) => disk.corrupt(segment, () => foreign));
  expect(why).toContain("is not the one that was durable");
});

test("an older floor is noticed, because the log names a newer one", () => {
  const { machine, storage } = aHistory(1);
  const old = bytesOf(machine, "floor");
  persist(machine, storage, { hardState: { term: 2, vote: null } });
  persist(machine, storage, { entries: [anEntry(12, 2)] });
  const why = recoveringAfter(machine, ({ disk }) => disk.corrupt("floor", () => old));
  expect(why).toContain("the newest floor that can be read is");
});

test("an older log and floor are noticed, because the image has gone on", () => {
  const { machine, storage } = aHistory(1);
  const old = [segment, "floor"].map((path) => [path, bytesOf(machine, path)] as const);
  persist(machine, storage, { entries: [anEntry(12, 1)] });
  const { state } = must(storage.stores, "founded");
  machine.wait((done) => state.write({ puts: [], deletes: [], base: baseAt(12, 1), sync: true }, done));
  const why = recoveringAfter(machine, ({ disk }) => {
    for (const [path, bytes] of old) disk.corrupt(path, () => bytes);
  });
  expect(why).toContain("the log ends at 11@1, before the state image at 12@1");
});

test("an image of another term than the log's entry is noticed", () => {
  const { machine, storage } = aHistory(1);
  const { state } = must(storage.stores, "founded");
  machine.wait((done) => state.write({ puts: [], deletes: [], base: baseAt(5, 3), sync: true }, done));
  expect(recoveringAfter(machine, () => {})).toContain("the state image is at 5@3, where the log has term 1");
});

test("a damaged member stays recovering when its newest floor is lost as well", () => {
  const { machine } = aHistory(1);
  const damaged = machine.killed();
  damaged.disk.corrupt(segment, (bytes) => bytes.slice(0, 200));
  expect(damaged.open(oneSegment).report.recovering).not.toBe(null);
  for (const slot of [0, 1]) {
    const why = recoveringAfter(damaged, ({ disk }) =>
      disk.corrupt("floor", (bytes) => bytes.map((byte, i) => (Math.floor(i / 4096) === slot ? 0 : byte))),
    );
    expect(why, `without slot ${slot}`).not.toBe(null);
  }
});
