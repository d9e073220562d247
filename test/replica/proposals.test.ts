import { expect, test } from "vitest";
import { Proposals, type ProposalEnd } from "../../src/replica/proposals.ts";

const batch = { version: 1, envelopes: [] };

function open(proposals: Proposals, deadlineMs = 1000): { context: number; ends: ProposalEnd[] } {
  const ends: ProposalEnd[] = [];
  return { context: proposals.open({ batch, deadlineMs, end: (end) => ends.push(end) }), ends };
}

test("an entry applied with the term of its proposal is committed", () => {
  const proposals = new Proposals();
  const { context, ends } = open(proposals);
  proposals.appended(context, { term: 2, index: 5 });
  expect(proposals.batchOf({ term: 2, index: 5 })).toBe(batch);
  proposals.applied({ term: 2, index: 5 }, []);
  expect(ends).toEqual([{ kind: "committed", entry: { term: 2, index: 5 }, results: [] }]);
  expect(proposals.size).toBe(0);
});

test("another term applied at its index means that the proposal never took effect", () => {
  const proposals = new Proposals();
  const { context, ends } = open(proposals);
  proposals.appended(context, { term: 2, index: 5 });
  expect(proposals.batchOf({ term: 3, index: 5 })).toBeNull();
  proposals.applied({ term: 3, index: 5 }, []);
  expect(ends).toEqual([{ kind: "rejected", reason: "termChanged" }]);
});

test("a proposal that the core refuses ends with the core's reason", () => {
  const proposals = new Proposals();
  const { context, ends } = open(proposals);
  proposals.rejected(context, "transferring");
  expect(ends).toEqual([{ kind: "rejected", reason: "transferring" }]);
});

test("after a snapshot nobody can tell what became of the entries below it", () => {
  const proposals = new Proposals();
  const below = open(proposals);
  const above = open(proposals);
  proposals.appended(below.context, { term: 2, index: 5 });
  proposals.appended(above.context, { term: 2, index: 6 });
  proposals.jumpedTo(5);
  expect(below.ends).toEqual([{ kind: "unknown" }]);
  expect(above.ends).toEqual([]);
});

test("a proposal that outlives its askers ends as unknown, once", () => {
  const proposals = new Proposals();
  const { context, ends } = open(proposals, 100);
  proposals.appended(context, { term: 2, index: 5 });
  proposals.expire(99);
  expect(ends).toEqual([]);
  proposals.expire(100);
  proposals.applied({ term: 2, index: 5 }, []);
  expect(ends).toEqual([{ kind: "unknown" }]);
});

test("a second leadership that reuses an index leaves the first proposal there unknown", () => {
  const proposals = new Proposals();
  const first = open(proposals);
  const second = open(proposals);
  proposals.appended(first.context, { term: 2, index: 5 });
  proposals.appended(second.context, { term: 4, index: 5 });
  expect(first.ends).toEqual([{ kind: "unknown" }]);
  proposals.applied({ term: 4, index: 5 }, []);
  expect(second.ends).toMatchObject([{ kind: "committed" }]);
});
