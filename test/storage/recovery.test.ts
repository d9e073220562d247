import { expect, test } from "vitest";
import type { Entry } from "../../src/raft/types.ts";
import { decideRecovery, type Recovery } from "../../src/storage/recovery.ts";
import { advance, type LogShape, shapeAt } from "../../src/storage/wal/log-shape.ts";
import { chainStart } from "../../src/storage/wal/record.ts";
import type { WalScan } from "../../src/storage/wal/scan.ts";
import { anEntry, baseAt } from "./machine.ts";

const hardState = { term: 5, vote: null };

/** What was read of a log that begins after 2@1: its first segments are gone, and damage stands where the rest was. */
function readable(from: { readonly shape: LogShape; readonly entries: readonly Entry[] }): WalScan {
  let { shape } = from;
  for (const entry of from.entries) shape = advance(shape, { kind: "entry", entry }) as LogShape;
  return {
    owner: null,
    segments: [],
    files: [2, 3],
    shape,
    entries: from.entries,
    lastGroup: 9,
    chain: chainStart,
    chainAtGroup: null,
    floorGeneration: 0,
    tail: null,
    damage: ["segment 3 cannot be read"],
  };
}

function recover(scan: WalScan, image: { readonly index: number; readonly term: number }): Recovery {
  return decideRecovery({
    scan,
    floor: { floor: null, exists: true },
    image: { base: baseAt(image.index, image.term), isReceived: false },
    isFounding: false,
  });
}

const indexes = ({ entries }: Recovery): number[] => entries.map(({ index }) => index);

/** Its first segment says that the log ended at 5@3 when it began. */
const tail = readable({
  shape: shapeAt(baseAt(2, 1), { index: 5, term: 3 }, hardState),
  entries: [anEntry(6, 3), anEntry(7, 3), anEntry(8, 4)],
});

test.each([
  { image: { index: 5, term: 3 }, kept: [6, 7, 8] },
  { image: { index: 7, term: 3 }, kept: [8] },
  { image: { index: 8, term: 4 }, kept: [] },
])("what is left of a log goes on from an image that stands for one of its positions: $image", (the) => {
  const recovery = recover(tail, the.image);
  expect(indexes(recovery)).toEqual(the.kept);
  expect(recovery).toMatchObject({
    usesImage: true,
    log: "rewrite",
    base: baseAt(the.image.index, the.image.term),
  });
  expect(recovery.recovering).toContain("entries 3 to 5 of the log are missing");
});

test.each([
  { why: "another leader's entry stands in its place", image: { index: 6, term: 5 } },
  { why: "it is of an older term", image: { index: 8, term: 3 } },
  { why: "the log does not reach it", image: { index: 9, term: 4 } },
  { why: "the entries that follow it are missing", image: { index: 4, term: 3 } },
])("nothing is left of a log that does not go on from the image: $why", ({ image }) => {
  const recovery = recover(tail, image);
  expect(indexes(recovery)).toEqual([]);
  expect(recovery).toMatchObject({ usesImage: true, log: "rewrite", base: baseAt(image.index, image.term) });
});

test("nothing is left of a log when nobody knows whether it went the image's way", () => {
  const cut = advance(shapeAt(baseAt(2, 1), { index: 7, term: 3 }, hardState), {
    kind: "truncation",
    after: 5,
  }) as LogShape;
  const recovery = recover(readable({ shape: cut, entries: [anEntry(6, 5)] }), { index: 5, term: 3 });
  expect(indexes(recovery)).toEqual([]);
});
