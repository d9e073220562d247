import { expect, test } from "vitest";
import { slabBytes, Slabs } from "../../src/storage/wal/slabs.ts";

test("small pieces share an allocation until it is full, and are what they were copied from", () => {
  const slabs = new Slabs();
  const pieces = Array.from({ length: 20 }, (_, i) => new Uint8Array(slabBytes / 8).fill(i));
  const copies = pieces.map((piece) => slabs.copyOf(piece));
  for (const piece of pieces) piece.fill(255);
  copies.forEach((copy, i) => expect(copy.every((byte) => byte === i)).toBe(true));
  expect(new Set(copies.map(({ buffer }) => buffer)).size).toBe(3);
});

test("a piece of more than a quarter of a slab gets an allocation of its own", () => {
  const slabs = new Slabs();
  const small = slabs.copyOf(new Uint8Array(slabBytes / 4));
  const large = slabs.copyOf(new Uint8Array(slabBytes / 4 + 1));
  expect(slabs.copyOf(new Uint8Array(1)).buffer).toBe(small.buffer);
  expect(large.buffer.byteLength).toBe(slabBytes / 4 + 1);
});
