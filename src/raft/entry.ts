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
