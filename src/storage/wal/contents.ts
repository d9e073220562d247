/**
 * What the records of the log say. The types' numbers are on disks: never give one another meaning.
 */

import { assert } from "../../raft/assert.ts";
import { entryOf } from "../../raft/entry.ts";
import type { Entry, EntryId, HardState, Index } from "../../raft/types.ts";
import { entryCodes, entryFromArray, entryToArray } from "../../raft/wire.ts";
import { MalformedError, type Fields, readFields } from "../../registry/fields.ts";
import type { LogBase } from "../../replica/ports.ts";
import { baseFromArray, baseToArray } from "../log-base.ts";
import { decode, encode, readWire } from "../msgpack.ts";
import { packedFields } from "../packed.ts";
import type { RawRecord } from "./record.ts";

/** Raised when a segment's bytes change their meaning; a segment of a newer format is refused. */
export const walFormat = 1;

export const recordTypes = {
  segment: 1,
  group: 2,
  hardState: 3,
  entry: 4,
  truncation: 5,
  boundary: 6,
  reset: 7,
} as const;

/** Whose data this is. The same in every segment, in `identity.json`, in the floor and in the state image. */
export interface Owner {
  readonly clusterId: string;
  readonly memberId: string;
  readonly incarnation: string;
}

/** The first record of a segment: everything that the segments before it would have said, so that they can be removed. */
export interface SegmentHeader {
  readonly owner: Owner;
  readonly number: number;
  /** The group before the first one of this segment. */
  readonly groupBefore: number;
  /** Where the log ended when the segment began. */
  readonly end: EntryId;
  readonly hardState: HardState;
  readonly base: LogBase;
}

/** What one fdatasync made durable together. A group counts as a whole or not at all. */
export interface GroupHeader {
  /** Counts up by one from group to group, through all segments. */
  readonly number: number;
  /** Of the records that follow and belong to the group. */
  readonly bytes: number;
  /** The newest floor that was durable before this group, by its generation. */
  readonly floorGeneration: number;
}

/** What changes the log. */
export type LogRecord =
  | { readonly kind: "hardState"; readonly hardState: HardState }
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "truncation"; readonly after: Index }
  | { readonly kind: "boundary"; readonly base: LogBase }
  | { readonly kind: "reset"; readonly base: LogBase; readonly keepTail: boolean };

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const { owner, end, hardState } = header;
  return encode([
    walFormat,
    owner.clusterId,
    owner.memberId,
    owner.incarnation,
    header.number,
    header.groupBefore,
    [end.term, end.index],
    [hardState.term, hardState.vote],
    baseToArray(header.base),
  ]);
}

/** The format that a segment header claims; the first field whatever the format. */
export function formatOf(record: RawRecord): number {
  const fields = decode(record.body);
  const format: unknown = Array.isArray(fields) ? fields[0] : null;
  if (typeof format !== "number") throw new MalformedError("segment header: it names no format");
  return format;
}

export function decodeSegmentHeader(record: RawRecord): SegmentHeader {
  return readFields(decode(record.body), "segment header", (fields) => {
    fields.integer();
    return {
      owner: { clusterId: fields.text(), memberId: fields.text(), incarnation: fields.text() },
      number: fields.integer(),
      groupBefore: fields.integer(),
      end: fields.nested("end of the log", (id) => ({ term: id.integer(), index: id.integer() })),
      hardState: fields.nested("hard state", readHardState),
      base: baseFromArray(fields.any()),
    };
  });
}

export function encodeGroupHeader(header: GroupHeader): Uint8Array {
  return encode([header.number, header.bytes, header.floorGeneration]);
}

export function decodeGroupHeader(record: RawRecord): GroupHeader {
  const fields = packedFields(record.body, "group header");
  const header = {
    number: fields.integer(),
    bytes: fields.integer(),
    floorGeneration: fields.integer(),
  };
  fields.end();
  return header;
}

/** The type and the body of a record. */
export function encodeLogRecord(record: LogRecord): readonly [type: number, body: Uint8Array] {
  switch (record.kind) {
    case "hardState":
      return [recordTypes.hardState, encode([record.hardState.term, record.hardState.vote])];
    case "entry":
      return [recordTypes.entry, encode(entryToArray(record.entry))];
    case "truncation":
      return [recordTypes.truncation, encode([record.after])];
    case "boundary":
      return [recordTypes.boundary, encode(baseToArray(record.base))];
    case "reset":
      return [recordTypes.reset, encode([baseToArray(record.base), record.keepTail])];
  }
}

/** Throws MalformedError when the body makes no sense. Of the body it keeps nothing but what `keep` returns of a payload. */
export function decodeLogRecord(record: RawRecord, keep: (payload: Uint8Array) => Uint8Array): LogRecord {
  if (record.type === recordTypes.entry) {
    const command = commandIn(record.body, keep);
    if (command !== null) return { kind: "entry", entry: command };
  }
  const value = decode(record.body);
  switch (record.type) {
    case recordTypes.hardState:
      return { kind: "hardState", hardState: readFields(value, "hard state", readHardState) };
    case recordTypes.entry:
      return { kind: "entry", entry: readWire(value, entryFromArray) };
    case recordTypes.truncation:
      return { kind: "truncation", after: readFields(value, "truncation", (fields) => fields.integer()) };
    case recordTypes.boundary:
      return { kind: "boundary", base: baseFromArray(value) };
    case recordTypes.reset:
      return readFields(value, "reset", (fields) => ({
        kind: "reset",
        base: baseFromArray(fields.any()),
        keepTail: fields.boolean(),
      }));
    default:
      throw new MalformedError(`a record of the unknown type ${record.type}`);
  }
}

/** Nearly all entries are commands, and nearly all of a log is entries; null for anything else. */
function commandIn(body: Uint8Array, keep: (payload: Uint8Array) => Uint8Array): Entry | null {
  const fields = packedFields(body, "entry");
  if (fields.integer() !== entryCodes.command) return null;
  const [term, index, clusterTime] = [fields.integer(), fields.integer(), fields.integer()];
  const payload = fields.bytes();
  fields.end();
  // What is not right is refused by the general reader, which knows what to say.
  if (term < 1 || index < 1 || clusterTime < 0) return null;
  return entryOf({ kind: "command", payload: keep(payload) }, { term, index }, clusterTime);
}

function readHardState(fields: Fields): HardState {
  return { term: fields.integer(), vote: fields.textOrNull() };
}

const nameDigits = 10;

/** Segment 7 is `wal/0000000007.wal`. */
export function segmentPath(number: number): string {
  assert(number > 0 && number < 10 ** nameDigits, `segment ${number} has no name`);
  return `wal/${number.toString().padStart(nameDigits, "0")}.wal`;
}

/** The number in a segment's file name; null for other names. */
export function segmentNumber(name: string): number | null {
  return /^\d{10}\.wal$/.test(name) ? Number(name.slice(0, nameDigits)) : null;
}
