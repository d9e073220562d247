/**
 * Reads the whole log of a data folder, verifies every record of it, and says what is there: what can be trusted, whether the last
 * group was torn by a crash, and what is damaged. It changes nothing.
 *
 * A crash can tear only what was being written: the last group. Whatever else cannot be read was durable once, and was lost since.
 */

import type { Entry, Index } from "../../raft/types.ts";
import { MalformedError } from "../../registry/fields.ts";
import type { Disk } from "../disk.ts";
import { StorageRefusal } from "../refusal.ts";
import {
  decodeGroupHeader,
  decodeLogRecord,
  decodeSegmentHeader,
  formatOf,
  type GroupHeader,
  type LogRecord,
  type Owner,
  recordTypes,
  type SegmentHeader,
  segmentNumber,
  segmentPath,
  walFormat,
} from "./contents.ts";
import { advance, type LogShape, nameOf, shapeAt } from "./log-shape.ts";
import { Slabs } from "./slabs.ts";
import { chainStart, type RawRecord, readRecord, recordHeaderBytes } from "./record.ts";

/** A segment that can be read, at least its beginning. */
export interface ScannedSegment {
  readonly number: number;
  /** The last index of the log when the segment began. */
  readonly indexBefore: Index;
  /** Of the groups that can be read. */
  readonly bytes: number;
  readonly fileBytes: number;
  readonly groups: number;
}

/** The last segment ends in an incomplete group, or is one. */
export interface Tail {
  readonly segment: number;
  /** Where the last whole group ends; 0 when the segment has none. */
  readonly keepBytes: number;
  readonly tornBytes: number;
}

export interface WalScan {
  readonly owner: Owner | null;
  /** In order, without those of which nothing can be read. */
  readonly segments: readonly ScannedSegment[];
  /** The numbers of all files there are, in order. */
  readonly files: readonly number[];
  /** What the readable part says; null when there is none. */
  readonly shape: LogShape | null;
  /** Contiguous, up to the end of `shape`. Where segments were removed, they begin above the boundary's next index or below it. */
  readonly entries: readonly Entry[];
  readonly lastGroup: number;
  /** The checksum of the last record, which the next one repeats. */
  readonly chain: number;
  /** The chain at the end of the group that was asked for; null when it was not read. */
  readonly chainAtGroup: number | null;
  /** The floor that the last group knew of. */
  readonly floorGeneration: number;
  readonly tail: Tail | null;
  readonly damage: readonly string[];
}

/** `groupOfInterest`: the group that the floor names. */
export function scanWal(disk: Disk, groupOfInterest: number): WalScan {
  const files = disk
    .list("wal")
    .map(segmentNumber)
    .filter((number) => number !== null);
  const scanner = new Scanner(groupOfInterest);
  for (const [i, number] of files.entries()) {
    if (scanner.hasStopped) break;
    const bytes = disk.read(segmentPath(number)) ?? new Uint8Array();
    scanner.readSegment(number, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      isLast: i === files.length - 1,
    });
  }
  return scanner.result(files);
}

/** Three numbers in an array: one byte, and at most nine for each. */
const groupHeaderBytesMax = 28;

/** A whole group, decoded, and where it ends. */
interface Group {
  readonly header: GroupHeader;
  readonly records: readonly LogRecord[];
  readonly chain: number;
  readonly end: number;
}

/** The reading of the log so far. Each part is taken over only when the whole group that it stands in is right. */
class Scanner {
  readonly #groupOfInterest: number;
  readonly #slabs = new Slabs();
  readonly #keep = (payload: Uint8Array): Uint8Array => this.#slabs.copyOf(payload);
  readonly #segments: ScannedSegment[] = [];
  readonly #damage: string[] = [];
  #owner: Owner | null = null;
  #shape: LogShape | null = null;
  #entries: Entry[] = [];
  #lastGroup = 0;
  #chain = chainStart;
  #chainAtGroup: number | null = null;
  #floorGeneration = 0;
  #tail: Tail | null = null;

  constructor(groupOfInterest: number) {
    this.#groupOfInterest = groupOfInterest;
  }

  get hasStopped(): boolean {
    return this.#tail !== null || this.#damage.length > 0;
  }

  readSegment(number: number, segment: Buffer, { isLast }: { readonly isLast: boolean }): void {
    const name = segmentPath(number);
    const first = readRecord(segment, 0);
    if (first === null) return this.#unreadable(number, segment, 0, isLast);
    try {
      const header = this.#readHeader(first, number);
      const { bytes, groups } = this.#readGroups(segment, first);
      // The header is written together with the first group: without one the segment never came to be.
      if (groups === 0) {
        if (this.#segments.length === 0) this.#forgetHeader();
        return this.#unreadable(number, segment, 0, isLast);
      }
      this.#segments.push({
        number,
        indexBefore: header.end.index,
        bytes,
        fileBytes: segment.length,
        groups,
      });
      if (bytes < segment.length) this.#unreadable(number, segment, bytes, isLast);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#damage.push(`${name}: ${error.message}`);
    }
  }

  result(files: readonly number[]): WalScan {
    return {
      owner: this.#owner,
      segments: this.#segments,
      files,
      shape: this.#shape,
      entries: this.#entries,
      lastGroup: this.#lastGroup,
      chain: this.#chain,
      chainAtGroup: this.#chainAtGroup,
      floorGeneration: this.#floorGeneration,
      tail: this.#tail,
      damage: this.#damage,
    };
  }

  /** Checks that the segment continues the one before it, or takes its word when it is the first. */
  #readHeader(record: RawRecord, number: number): SegmentHeader {
    if (record.type !== recordTypes.segment) throw new MalformedError("it does not begin with a header");
    const format = formatOf(record);
    if (format > walFormat) {
      throw new StorageRefusal(
        `${segmentPath(number)} has format ${format}, and this version of Rollcall reads formats up to ${walFormat}: start a newer version`,
      );
    }
    const header = decodeSegmentHeader(record);
    if (header.number !== number) throw new MalformedError(`it is segment ${header.number} by its header`);
    if (this.#shape === null || this.#owner === null) {
      this.#owner = header.owner;
      this.#shape = shapeAt(header.base, header.end, header.hardState);
      this.#lastGroup = header.groupBefore;
      return header;
    }
    const before = this.#segments.at(-1);
    if (before !== undefined && before.number !== number - 1)
      throw new MalformedError(`segment ${before.number + 1} is missing`);
    const { base, end } = this.#shape;
    const continues =
      record.chain === this.#chain &&
      header.groupBefore === this.#lastGroup &&
      nameOf(header.end) === nameOf(end) &&
      nameOf(header.base.last) === nameOf(base.last);
    if (!continues) throw new MalformedError("it does not continue the segment before it");
    return header;
  }

  #forgetHeader(): void {
    this.#owner = null;
    this.#shape = null;
    this.#lastGroup = 0;
  }

  #readGroups(segment: Buffer, first: RawRecord): { readonly bytes: number; readonly groups: number } {
    let position = first.end;
    let groups = 0;
    let chain = first.checksum;
    while (position < segment.length) {
      const group = this.#readGroup(segment, position, chain);
      if (group === null) break;
      this.#take(group);
      chain = group.chain;
      position = group.end;
      groups += 1;
    }
    return { bytes: position, groups };
  }

  /** The group at `position`; null when it is not whole. Throws MalformedError when it is whole and cannot be. */
  #readGroup(segment: Buffer, position: number, chainBefore: number): Group | null {
    const raw = readRecord(segment, position);
    if (raw === null) return null;
    if (raw.type !== recordTypes.group || raw.chain !== chainBefore)
      throw new MalformedError(`at byte ${position} stands a record that does not belong there`);
    const header = decodeGroupHeader(raw);
    if (header.number !== this.#lastGroup + 1)
      throw new MalformedError(`group ${header.number} follows group ${this.#lastGroup}`);
    const end = raw.end + header.bytes;
    const records: LogRecord[] = [];
    let chain = raw.checksum;
    for (let next = raw.end; next < end;) {
      const record = readRecord(segment, next);
      if (record === null) return null;
      if (record.chain !== chain || record.end > end)
        throw new MalformedError(`group ${header.number}: the record at byte ${next} does not belong there`);
      records.push(decodeLogRecord(record, this.#keep));
      chain = record.checksum;
      next = record.end;
    }
    return { header, records, chain, end };
  }

  /** All or nothing: a group that contradicts the log before it changes nothing. */
  #take(group: Group): void {
    const shape = this.#shapeAfter(group);
    for (const record of group.records) this.#takeEntries(record);
    this.#shape = shape;
    this.#lastGroup = group.header.number;
    this.#chain = group.chain;
    this.#floorGeneration = group.header.floorGeneration;
    if (group.header.number === this.#groupOfInterest) this.#chainAtGroup = group.chain;
  }

  #shapeAfter(group: Group): LogShape {
    let shape = this.#shape;
    if (shape === null) throw new MalformedError("a group before any header");
    for (const record of group.records) {
      const next = advance(shape, record);
      if (typeof next === "string") throw new MalformedError(`group ${group.header.number}: ${next}`);
      shape = next;
    }
    return shape;
  }

  #takeEntries(record: LogRecord): void {
    const first = this.#entries[0]?.index ?? 0;
    switch (record.kind) {
      case "entry":
        this.#entries.push(record.entry);
        return;
      case "truncation":
        this.#entries.length = Math.max(0, Math.min(this.#entries.length, record.after + 1 - first));
        return;
      case "boundary":
        this.#dropUpTo(record.base.last.index);
        return;
      case "reset":
        if (record.keepTail) this.#dropUpTo(record.base.last.index);
        else this.#entries = [];
        return;
      case "hardState":
        return;
    }
  }

  #dropUpTo(index: Index): void {
    const first = this.#entries[0]?.index;
    if (first !== undefined && first <= index) this.#entries = this.#entries.slice(index + 1 - first);
  }

  /** What follows `position` is no whole group: torn by a crash, or damaged since. */
  #unreadable(number: number, segment: Buffer, position: number, isLast: boolean): void {
    const where = `${segmentPath(number)}: what stands at byte ${position} of ${segment.length}`;
    if (!isLast) this.#damage.push(`${where} cannot be read, and later segments exist`);
    else if (this.#laterGroupExists(segment, position))
      this.#damage.push(`${where} cannot be read, and a later group can`);
    else this.#tail = { segment: number, keepBytes: position, tornBytes: segment.length - position };
  }

  /**
   * A group is begun only when the one before it is durable, so a whole group header further on proves that what cannot be read was
   * durable too. Its checksum tells it from bytes that only look like one.
   */
  #laterGroupExists(segment: Buffer, position: number): boolean {
    for (let i = position + 1; i < segment.length; i += 1) {
      // Nearly all positions fail on the type or the length, before anything is summed.
      if (segment[i + 8] !== recordTypes.group || i + recordHeaderBytes > segment.length) continue;
      if (segment.readUInt32LE(i) > groupHeaderBytesMax) continue;
      const record = readRecord(segment, i);
      if (record !== null && isGroupAfter(record, this.#lastGroup + 1)) return true;
    }
    return false;
  }
}

function isGroupAfter(record: RawRecord, number: number): boolean {
  try {
    return decodeGroupHeader(record).number > number;
  } catch {
    // Something else whose type happens to look like a group's.
    return false;
  }
}
