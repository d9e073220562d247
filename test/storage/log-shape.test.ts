import { expect, test } from "vitest";
import type { LogRecord } from "../../src/storage/wal/contents.ts";
import { emptyBase } from "../../src/storage/log-base.ts";
import { advance, type LogShape, shapeAt, termAt } from "../../src/storage/wal/log-shape.ts";
import { anEntry, baseAt } from "./machine.ts";

const entry = (index: number, term: number): LogRecord => ({ kind: "entry", entry: anEntry(index, term) });
const hardState = (term: number, vote: string | null): LogRecord => ({
  kind: "hardState",
  hardState: { term, vote },
});
const truncation = (after: number): LogRecord => ({ kind: "truncation", after });
const boundary = (index: number, term: number): LogRecord => ({
  kind: "boundary",
  base: baseAt(index, term),
});
const reset = (index: number, term: number, keepTail: boolean): LogRecord => ({
  kind: "reset",
  base: baseAt(index, term),
  keepTail,
});

function play(records: readonly LogRecord[]): LogShape | string {
  let shape: LogShape | string = shapeAt(emptyBase, emptyBase.last, { term: 0, vote: null });
  for (const record of records) {
    if (typeof shape === "string") return `not at the end: ${shape}`;
    shape = advance(shape, record);
  }
  return shape;
}

/** Up to 5@3: entries of terms 1, 1, 2, 2, 3. */
const some = [hardState(3, "n1"), entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2), entry(5, 3)];

test("the terms of all entries are known, up to the end and from the boundary on", () => {
  const shape = play([...some, boundary(2, 1)]) as LogShape;
  expect([1, 2, 3, 4, 5, 6].map((index) => termAt(shape, index))).toEqual([null, 1, 2, 2, 3, null]);
});

test.each<readonly [string, readonly LogRecord[], string]>([
  ["cut and written again", [truncation(3), entry(4, 3)], "4@3"],
  ["cut down to its boundary", [boundary(3, 2), truncation(3)], "3@2"],
  ["compacted up to its end", [boundary(5, 3), entry(6, 3)], "6@3"],
  ["replaced by a snapshot from ahead", [reset(9, 3, false), entry(10, 3)], "10@3"],
  ["replaced by a snapshot from within", [reset(4, 2, false)], "4@2"],
  ["begun later, with its tail", [reset(4, 2, true), entry(6, 3)], "6@3"],
  ["of a new term", [hardState(7, null), entry(6, 7)], "6@7"],
])("a log may be %s", (_, records, end) => {
  const shape = play([...some, ...records]) as LogShape;
  expect(`${shape.end.index}@${shape.end.term}`).toBe(end);
});

test.each<readonly [string, LogRecord, string]>([
  ["skip an entry", entry(7, 3), "entry 7@3 follows 5@3"],
  ["repeat an entry", entry(5, 3), "entry 5@3 follows 5@3"],
  ["go back to an older term", entry(6, 2), "entry 6@2 is of an older term than 5@3"],
  ["hold a term that was never promised", entry(6, 4), "entry 6@4 is of a later term than the hard state, 3"],
  ["forget a term", hardState(2, null), "the term goes back from 3 to 2"],
  ["change a vote", hardState(3, "n2"), "the vote in term 3 changes from n1 to n2"],
  ["take back a vote", hardState(3, null), "the vote in term 3 changes from n1 to nobody"],
  ["be cut beyond its end", truncation(6), "the log from 0@0 to 5@3 cannot be cut after 6"],
  ["be compacted beyond its end", boundary(6, 3), "the log from 0@0 to 5@3 cannot be compacted up to 6@3"],
  [
    "begin after an entry that it holds with another term",
    boundary(4, 3),
    "the boundary 4@3 is of another term than the log's entry, 2",
  ],
  [
    "keep a tail that does not follow",
    reset(4, 3, true),
    "the boundary 4@3 is of another term than the log's entry, 2",
  ],
])("a log cannot %s", (_, record, why) => {
  expect(play([...some, record])).toBe(why);
});

test("a log cannot be cut or begun before its boundary", () => {
  const before = [...some, boundary(4, 2)];
  expect(play([...before, truncation(3)])).toBe("the log from 4@2 to 5@3 cannot be cut after 3");
  expect(play([...before, reset(3, 2, false)])).toBe("the log that begins after 4@2 cannot begin after 3@2");
});
