/** Small questions about entries and their ids. */

import type { Entry, EntryId } from "./types.ts";

/** What an entry costs beyond its payload: its term, index, stamp and framing, rounded up. */
const entryOverheadBytes = 32;

/** A member's record is some names and two URLs; for flow control an estimate is enough. */
const memberBytes = 256;

/** Roughly how much memory and bandwidth the entry takes. The same on every member. */
export function entryBytes(entry: Entry): number {
  switch (entry.kind) {
    case "command":
      return entryOverheadBytes + entry.payload.length;
    case "membership":
      return entryOverheadBytes + memberBytes * entry.membership.members.length;
    case "election":
    case "clock":
      return entryOverheadBytes;
  }
}

/** What an entry says, without where it stands. */
export type EntryContent = Entry extends infer Each
  ? Each extends Entry
    ? Omit<Each, keyof EntryId | "clusterTime">
    : never
  : never;

/**
 * The entry that says this at that place. Whoever makes it, one kind has one order of fields: each order is a type of its own to the
 * engine, and code that has met more than four of them, as that which walks over the log would, looks each field up by its name.
 */
export function entryOf(content: EntryContent, { term, index }: EntryId, clusterTime: number): Entry {
  switch (content.kind) {
    case "command":
      return { kind: "command", term, index, clusterTime, payload: content.payload };
    case "election":
      return { kind: "election", term, index, clusterTime, graceMs: content.graceMs };
    case "membership":
      return { kind: "membership", term, index, clusterTime, membership: content.membership };
    case "clock":
      return { kind: "clock", term, index, clusterTime };
  }
}

export function idOf(entry: EntryId): EntryId {
  return { term: entry.term, index: entry.index };
}

/**
 * Whether a log that ends in `a` is at least as up-to-date as one that ends in `b`: the later last term wins, and of equal terms the
 * longer log (paper §5.4.1). Lexicographic: a longer log of an older term does not make up for the term.
 */
export function isAtLeast(a: EntryId, b: EntryId): boolean {
  return a.term !== b.term ? a.term > b.term : a.index >= b.index;
}
