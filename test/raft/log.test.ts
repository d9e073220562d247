import { expect, test } from "vitest";
import { InvariantViolation } from "../../src/raft/assert.ts";
import { Durability } from "../../src/raft/durability.ts";
import { entryBytes } from "../../src/raft/entry.ts";
import { RaftLog } from "../../src/raft/log.ts";
import type { Entry, Membership, Term } from "../../src/raft/types.ts";
import { emptyBase, membershipOf, text } from "../support/raft-network.ts";

/** No bound on the bytes of a page. */
const everyByte = Number.MAX_SAFE_INTEGER;

function command(index: number, term: Term, clusterTime = 0): Entry {
  return { kind: "command", term, index, clusterTime, payload: text("x") };
}

function membershipEntry(index: number, term: Term, membership: Membership): Entry {
  return { kind: "membership", term, index, clusterTime: 0, membership };
}

/** Entries of these terms from index 1 on. */
function logOf(...terms: Term[]): RaftLog {
  return new RaftLog({
    base: emptyBase,
    entries: terms.map((term, i) => command(i + 1, term)),
    appliedIndex: 0,
  });
}

/** The same, with everything up to `base` compacted. */
function compactedLog(base: number, ...terms: Term[]): RaftLog {
  const log = logOf(...terms);
  log.commitTo(base);
  log.nextPage(base, everyByte);
  log.applied(base);
  log.compactTo(base);
  return log;
}

test.each([
  // index, term asked about, and where the log 1 1 2 2 2 5 agrees at best
  { index: 6, term: 5, found: 6 },
  { index: 6, term: 4, found: 5 },
  { index: 6, term: 2, found: 5 },
  { index: 4, term: 2, found: 4 },
  { index: 6, term: 1, found: 2 },
  { index: 1, term: 9, found: 1 },
  { index: 99, term: 3, found: 5 },
  { index: 6, term: 0, found: 0 },
  { index: 0, term: 3, found: 0 },
])("the log 1 1 2 2 2 5 agrees with term $term at $index at best up to $found", ({ index, term, found }) => {
  expect(logOf(1, 1, 2, 2, 2, 5).findByTerm(index, term)).toBe(found);
});

test("findByTerm agrees with looking at every entry", () => {
  const terms = [1, 1, 2, 4, 4, 4, 7, 7, 9];
  for (let base = 0; base <= 4; base += 1) {
    const log = base === 0 ? logOf(...terms) : compactedLog(base, ...terms);
    for (let index = base; index <= 10; index += 1) {
      for (let term = terms[base] ?? 0; term <= 10; term += 1) {
        const known = terms
          .map((entryTerm, i) => ({ entryTerm, index: i + 1 }))
          .filter((entry) => entry.index >= base);
        const expected =
          known.findLast((entry) => entry.index <= index && entry.entryTerm <= term)?.index ?? base;
        expect(log.findByTerm(index, term), `base ${base}, ${index}@${term}`).toBe(expected);
      }
    }
  }
});

test("the term of a compacted entry is unknown, and not 0, which would match a missing one", () => {
  const log = compactedLog(2, 1, 1, 2);
  expect([1, 2, 3, 4].map((index) => log.termAt(index))).toEqual([null, 1, 2, null]);
  expect(log.has({ term: 0, index: 1 })).toBe(false);
});

test("a slice has at least one entry and no more bytes than allowed after that", () => {
  const log = logOf(1, 1, 1, 1);
  const bytes = entryBytes(command(1, 1));
  expect(log.slice(2, 0).map(({ index }) => index)).toEqual([2]);
  expect(log.slice(2, 2 * bytes).map(({ index }) => index)).toEqual([2, 3]);
  expect(log.slice(5, 1000)).toEqual([]);
  expect(() => compactedLog(2, 1, 1, 1).slice(2, 1000)).toThrow(InvariantViolation);
});

test("the membership in force is the newest in the log; cutting it off brings the earlier one back", () => {
  const [first, second] = [membershipOf(["n1"]), membershipOf(["n1", "n2"])];
  const log = new RaftLog({ base: emptyBase, entries: [membershipEntry(1, 1, first)], appliedIndex: 0 });
  log.append([command(2, 1), membershipEntry(3, 1, second)], 1);
  expect([log.membership, log.membershipIndex]).toEqual([second, 3]);
  log.truncateAfter(2);
  expect([log.membership, log.membershipIndex]).toEqual([first, 1]);
});

test("where a membership stands can be compared with another log's, also when its entry is compacted", () => {
  const entries = [membershipEntry(1, 1, membershipOf(["n1"])), command(2, 2), command(3, 3)];
  const log = new RaftLog({ base: emptyBase, entries, appliedIndex: 3 });
  expect(log.membershipId).toEqual({ term: 1, index: 1 });
  log.compactTo(2);
  // Later than its own term, and no later than that of any membership that may follow.
  expect(log.membershipId).toEqual({ term: 2, index: 1 });
  log.append([membershipEntry(4, 3, membershipOf(["n1", "n2"]))], 1);
  expect(log.membershipId).toEqual({ term: 3, index: 4 });
});

test("the base of a compacted log knows the membership, the time and the grace that were in force there", () => {
  const first = membershipOf(["n1"]);
  const entries: Entry[] = [
    membershipEntry(1, 1, first),
    { kind: "election", term: 2, index: 2, clusterTime: 70, graceMs: 2000 },
    command(3, 2, 80),
    { kind: "election", term: 3, index: 4, clusterTime: 90, graceMs: 2000 },
  ];
  const log = new RaftLog({ base: emptyBase, entries, appliedIndex: 4 });
  const base = log.compactTo(3);
  expect(base).toEqual({
    last: { term: 2, index: 3 },
    clusterTime: 80,
    membership: first,
    membershipIndex: 1,
    lastGraceAt: 70,
  });
  expect(log.lastGraceAt).toBe(90);
  const restarted = new RaftLog({ base, entries: entries.slice(3), appliedIndex: 3 });
  expect([restarted.membership, restarted.lastGraceAt, restarted.lastClusterTime]).toEqual([first, 90, 90]);
});

test("entries are applied when committed and durable, in pages, one at a time", () => {
  const log = logOf(1);
  log.append([command(2, 1), command(3, 1), command(4, 1)], 7);
  log.commitTo(4);
  const indexes = (page: readonly Entry[]): number[] => page.map(({ index }) => index);
  expect(indexes(log.nextPage(2, everyByte))).toEqual([1]);
  expect(indexes(log.nextPage(2, everyByte))).toEqual([]);
  log.applied(1);
  log.stored(7);
  expect(indexes(log.nextPage(2, everyByte))).toEqual([2, 3]);
  log.applied(3);
  expect(indexes(log.nextPage(2, everyByte))).toEqual([4]);
});

test("a page ends before the entry that would make it too large, and holds at least one", () => {
  const log = logOf(1, 1, 1, 1);
  log.commitTo(4);
  const bytes = entryBytes(command(1, 1));
  const pages: number[] = [];
  while (log.hasMoreToApply) {
    const page = log.nextPage(99, pages.length === 0 ? 1 : 2 * bytes);
    pages.push(page.length);
    log.applied(page.at(-1)?.index ?? 0);
  }
  expect(pages).toEqual([1, 2, 1]);
});

test("committed entries are never cut, and the commit index never decreases", () => {
  const log = logOf(1, 1, 1);
  log.commitTo(2);
  expect(() => log.truncateAfter(1)).toThrow(InvariantViolation);
  expect(() => log.commitTo(1)).toThrow(InvariantViolation);
  expect(() => log.commitTo(4)).toThrow(InvariantViolation);
});

test("only the last write of an index makes it durable (the ABA of asynchronous storage)", () => {
  const durability = new Durability(4);
  durability.wrote(1, 7);
  durability.truncateAfter(5);
  durability.wrote(2, 7);
  expect(durability.seqOf(5)).toBe(1);
  expect(durability.seqOf(6)).toBe(2);
  durability.stored(1);
  expect(durability.durableIndex).toBe(5);
  durability.stored(2);
  expect(durability.durableIndex).toBe(7);
  expect(durability.seqOf(7)).toBe(0);
});

test("a cut below the durable index takes durability back until the new entries are written", () => {
  const durability = new Durability(9);
  durability.truncateAfter(3);
  durability.wrote(5, 6);
  expect(durability.durableIndex).toBe(3);
  durability.stored(5);
  expect(durability.durableIndex).toBe(6);
});
