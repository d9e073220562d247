/**
 * What the log says so far, without its entries: where it begins and ends, and which terms it holds.
 *
 * The writer uses it to know what a new segment must repeat, the reader to check that each record can follow the ones before it. A
 * record that cannot is a mistake of the writer's caller, or damage.
 */

import type { EntryId, HardState, Index, Term } from "../../raft/types.ts";
import type { LogBase } from "../../replica/ports.ts";
import type { LogRecord } from "./contents.ts";

/** From `from` on, entries are of `term`, until the next run. */
interface TermRun {
  readonly from: Index;
  readonly term: Term;
}

export interface LogShape {
  readonly hardState: HardState;
  readonly base: LogBase;
  /** The last entry, or the boundary when no entry follows it. */
  readonly end: EntryId;
  /** In order. What lies below the first run is not known. */
  readonly runs: readonly TermRun[];
}

/** Of entries in segments that are gone. Lower than every real one, so that any entry may follow. */
const unknownTerm = 0;

/** The shape of a log that ends at `end`, and of whose terms nothing else is known. */
export function shapeAt(base: LogBase, end: EntryId, hardState: HardState): LogShape {
  return { hardState, base, end, runs: [{ from: end.index, term: end.term }] };
}

/** The term of the entry at `index`; null when it is not known, or when there is no such entry. */
export function termAt(shape: LogShape, index: Index): Term | null {
  if (index > shape.end.index) return null;
  if (index === shape.base.last.index) return shape.base.last.term;
  const run = shape.runs.findLast((candidate) => candidate.from <= index);
  return run === undefined || run.term === unknownTerm ? null : run.term;
}

/** The shape after the record, or a sentence that says why the record cannot be. */
export function advance(shape: LogShape, record: LogRecord): LogShape | string {
  switch (record.kind) {
    case "hardState":
      return withHardState(shape, record.hardState);
    case "entry":
      return withEntry(shape, record.entry);
    case "truncation":
      return truncated(shape, record.after);
    case "boundary":
      return compacted(shape, record.base);
    case "reset":
      return replaced(shape, record.base, record.keepTail);
  }
}

function withHardState(shape: LogShape, hardState: HardState): LogShape | string {
  const { term, vote } = shape.hardState;
  if (hardState.term < term) return `the term goes back from ${term} to ${hardState.term}`;
  if (hardState.term === term && vote !== null && hardState.vote !== vote)
    return `the vote in term ${term} changes from ${vote} to ${hardState.vote ?? "nobody"}`;
  return { ...shape, hardState };
}

function withEntry(shape: LogShape, entry: EntryId): LogShape | string {
  const { end, hardState } = shape;
  if (entry.index !== end.index + 1) return `entry ${nameOf(entry)} follows ${nameOf(end)}`;
  if (entry.term < end.term) return `entry ${nameOf(entry)} is of an older term than ${nameOf(end)}`;
  if (entry.term > hardState.term)
    return `entry ${nameOf(entry)} is of a later term than the hard state, ${hardState.term}`;
  const newEnd = { term: entry.term, index: entry.index };
  if (shape.runs.at(-1)?.term === entry.term) return { ...shape, end: newEnd };
  return { ...shape, end: newEnd, runs: [...shape.runs, { from: entry.index, term: entry.term }] };
}

function truncated(shape: LogShape, after: Index): LogShape | string {
  const { base, end } = shape;
  if (after < base.last.index || after > end.index)
    return `the log from ${nameOf(base.last)} to ${nameOf(end)} cannot be cut after ${after}`;
  const runs = shape.runs.filter((run) => run.from <= after);
  const term = after === base.last.index ? base.last.term : (runs.at(-1)?.term ?? unknownTerm);
  return { ...shape, end: { term, index: after }, runs: runs.length > 0 ? runs : [{ from: after, term }] };
}

function compacted(shape: LogShape, base: LogBase): LogShape | string {
  const { last } = base;
  if (last.index < shape.base.last.index || last.index > shape.end.index)
    return `the log from ${nameOf(shape.base.last)} to ${nameOf(shape.end)} cannot be compacted up to ${nameOf(last)}`;
  const known = termAt(shape, last.index);
  if (known !== null && known !== last.term)
    return `the boundary ${nameOf(last)} is of another term than the log's entry, ${known}`;
  return { ...shape, base, runs: runsFrom(shape, last) };
}

function replaced(shape: LogShape, base: LogBase, keepTail: boolean): LogShape | string {
  if (base.last.index < shape.base.last.index)
    return `the log that begins after ${nameOf(shape.base.last)} cannot begin after ${nameOf(base.last)}`;
  if (!keepTail) return shapeAt(base, base.last, shape.hardState);
  return compacted(shape, base);
}

/**
 * The runs above a boundary, which itself begins the first one. Where the term at the boundary is news, nothing is known of what follows
 * it up to the next run: not even that it is of the same term.
 */
function runsFrom(shape: LogShape, last: EntryId): readonly TermRun[] {
  const boundary = { from: last.index, term: last.term };
  const above = shape.runs.filter((run) => run.from > last.index);
  const known = shape.runs.findLast((run) => run.from <= last.index)?.term ?? unknownTerm;
  const next = above[0]?.from ?? shape.end.index + 1;
  if (known !== unknownTerm || next === last.index + 1) return [boundary, ...above];
  return [boundary, { from: last.index + 1, term: unknownTerm }, ...above];
}

/** As people write positions. */
export function nameOf(id: EntryId): string {
  return `${id.index}@${id.term}`;
}
