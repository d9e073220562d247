// What cannot be read at the end of the log was either being written when the power went, or durable once. The first is cut, the second
// is a loss.

import { expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type { Storage } from "../../src/storage/open-storage.ts";
import { anEntry, Machine, smallLimits } from "./machine.ts";

const oneSegment = { ...smallLimits, segmentBytesMax: 1_000_000, floorLagEntries: 1_000 };
const path = "wal/0000000001.wal";

/** A member with one group for each of the entries 2 to 9, and where each of these groups ends. The floor covers only the founding. */
function withGroups(): {
  readonly machine: Machine;
  readonly storage: Storage;
  readonly ends: readonly number[];
} {
  const { machine, storage } = Machine.founded(oneSegment);
  const { log } = must(storage.stores, "founded");
  const ends: number[] = [];
  for (let index = 2; index <= 9; index += 1) {
    const entries = [anEntry(index, 1)];
    machine.wait((done) => log.persist({ hardState: null, truncateAfter: null, entries }, done));
    ends.push(must(machine.disk.read(path), "the segment").length);
  }
  return { machine, storage, ends };
}

function reopened(machine: Machine): {
  readonly storage: Storage;
  readonly entries: number;
  readonly recovering: boolean;
} {
  const storage = machine.open(oneSegment);
  const { boot } = must(storage.stores, "a member").recovered;
  return { storage, entries: boot.entries.length, recovering: boot.recovering };
}

test("the last group is cut wherever it was torn, and the file ends before it", () => {
  const { machine, ends } = withGroups();
  const [before, end] = [must(ends.at(-2), "a group"), must(ends.at(-1), "a group")];
  for (let length = before + 1; length < end; length += 1) {
    for (const fill of [null, 0, 0xff]) {
      const torn = machine.killed();
      torn.disk.corrupt(path, (bytes) => {
        const kept = bytes.slice(0, length);
        return fill === null ? kept : Buffer.concat([kept, Buffer.alloc(end - length, fill)]);
      });
      const { storage, entries, recovering } = reopened(torn);
      expect({ entries, recovering }, `torn at ${length}`).toEqual({ entries: 8, recovering: false });
      expect(storage.report.tornBytes).toBe(fill === null ? length - before : end - before);
      expect(torn.disk.read(path)?.length).toBe(before);
    }
  }
});

test("a group before the last one cannot be torn: something durable was lost", () => {
  const { machine, ends } = withGroups();
  const inside = must(ends.at(-2), "a group") - 3;
  const harmed = machine.killed();
  harmed.disk.corrupt(path, (bytes) => bytes.map((byte, i) => (i === inside ? byte ^ 1 : byte)));
  const { storage, entries, recovering } = reopened(harmed);
  expect({ entries, recovering }).toEqual({ entries: 7, recovering: true });
  expect(storage.report.recovering).toContain("cannot be read, and a later group can");
});

test("a last group that the floor covers cannot be torn either", () => {
  const { machine, ends } = withGroups();
  machine.time.runFor(oneSegment.floorLagMs);
  machine.settle();
  const harmed = machine.killed();
  harmed.disk.corrupt(path, (bytes) => bytes.slice(0, must(ends.at(-1), "a group") - 1));
  const { storage, entries, recovering } = reopened(harmed);
  expect({ entries, recovering }).toEqual({ entries: 8, recovering: true });
  expect(storage.report.recovering).toContain("but group 9, up to 9@1, was durable");
});

test("a vote that only the floor still knows is kept, and the member is recovering", () => {
  const { machine, storage, ends } = withGroups();
  const { log } = must(storage.stores, "founded");
  const hardState = { term: 5, vote: "n3" };
  machine.wait((done) => log.persist({ hardState, truncateAfter: null, entries: [] }, done));
  const harmed = machine.killed();
  harmed.disk.corrupt(path, (bytes) => bytes.slice(0, must(ends.at(-1), "a group")));
  const { boot } = must(harmed.open(oneSegment).stores, "a member").recovered;
  expect(boot.hardState).toEqual(hardState);
  expect(boot.recovering).toBe(true);
});

test("an old copy of the log beside a newer floor is a loss", () => {
  const { machine, storage } = withGroups();
  const old = must(machine.disk.read(path), "the segment");
  const { log } = must(storage.stores, "founded");
  const hardState = { term: 2, vote: null };
  machine.wait((done) => log.persist({ hardState, truncateAfter: 5, entries: [anEntry(6, 2)] }, done));
  const harmed = machine.killed();
  harmed.disk.corrupt(path, () => old);
  expect(reopened(harmed).recovering).toBe(true);
});
