/**
 * What one member's log would be after a power loss at this moment, read back from the durable bytes of its files as they become
 * durable. Everything that is promised is checked against this, and not against what the member believes to have written.
 */

import type { EntryId, HardState, Index, Term } from "../../../src/raft/types.ts";
import {
  decodeGroupHeader,
  decodeLogRecord,
  decodeSegmentHeader,
  type LogRecord,
  recordTypes,
  segmentNumber,
  segmentPath,
} from "../../../src/storage/wal/contents.ts";
import { type RawRecord, readRecord } from "../../../src/storage/wal/record.ts";
import type { Folder } from "../world/folder.ts";
import type { Inode } from "../world/inode.ts";

/** An entry that became durable, with the bytes that say what it is. */
export interface DurableEntry extends EntryId {
  readonly previousTerm: Term;
  readonly body: Uint8Array;
}

const unknownTerm = 0;
const walFolder = "wal/";

export class DurableLog {
  readonly #files: Folder;
  readonly #onEntry: (entry: DurableEntry) => void;
  readonly #onHardState: (hardState: HardState) => void;
  #hardState: HardState = { term: 0, vote: null };
  #base: EntryId = { term: 0, index: 0 };
  /** `#terms[i]` is the term of the entry at base.index + 1 + i. */
  #terms: Term[] = [];
  #segment = 0;
  #inode: Inode | null = null;
  #position = 0;
  #groupStart = 0;
  #groupNumber = 0;
  #isFirstGroup = true;

  constructor(
    files: Folder,
    onEntry: (entry: DurableEntry) => void,
    onHardState: (hardState: HardState) => void,
  ) {
    this.#files = files;
    this.#onEntry = onEntry;
    this.#onHardState = onHardState;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  get lastIndex(): Index {
    return this.#base.index + this.#terms.length;
  }

  /** Null when the entry is compacted or not there. */
  termAt(index: Index): Term | null {
    if (index === this.#base.index) return this.#base.term;
    return this.#terms[index - this.#base.index - 1] ?? null;
  }

  /** Whether this entry, or a compacted log that reached beyond it, survives. */
  holds(id: EntryId): boolean {
    return id.index < this.#base.index || this.termAt(id.index) === id.term;
  }

  /** What it holds now, for the time after it is lost. */
  copy(): DurableLog {
    const copy = new DurableLog(this.#files, this.#onEntry, this.#onHardState);
    copy.#hardState = this.#hardState;
    copy.#base = this.#base;
    copy.#terms = [...this.#terms];
    return copy;
  }

  /** Reads what has become durable since the last time; `withNames`: perhaps in new files too. */
  update(withNames: boolean): void {
    this.#readGroups();
    // A new file's bytes are synced before its name, so its first look is when the name is.
    while (withNames) {
      const next = this.#nextSegment();
      if (next === null) return;
      this.#segment = next;
      this.#inode = this.#files.findDurable(segmentPath(next));
      this.#position = 0;
      if (!this.#readHeader()) {
        // Its first group is not durable yet: look at it again next time.
        this.#segment = next - 1;
        this.#inode = null;
        return;
      }
      this.#readGroups();
    }
  }

  /** Where the write began that made the last group durable; null before any segment. */
  get lastGroup(): {
    readonly path: string;
    readonly start: number;
    readonly end: number;
    readonly number: number;
  } | null {
    if (this.#inode === null) return null;
    const number = this.#groupNumber;
    return { path: segmentPath(this.#segment), start: this.#groupStart, end: this.#position, number };
  }

  #nextSegment(): number | null {
    let next: number | null = null;
    // Names of segments are of one length, so that text tells of most of them that they are no later ones.
    const present = this.#segment === 0 ? walFolder : segmentPath(this.#segment);
    for (const path of this.#files.durablePaths()) {
      if (path <= present || !path.startsWith(walFolder)) continue;
      const number = segmentNumber(path.slice(walFolder.length));
      if (number !== null && (next === null || number < next)) next = number;
    }
    return next;
  }

  #readHeader(): boolean {
    const bytes = this.#inode?.durable;
    const record = bytes === undefined ? null : readRecord(bytes, 0);
    if (bytes === undefined || record === null || record.type !== recordTypes.segment) return false;
    if (readGroup(bytes, record.end) === null) return false;
    const header = decodeSegmentHeader(record);
    this.#hardState = header.hardState;
    this.#cutAfter(header.end.index);
    this.#rebase(header.base.last);
    if (header.end.index < this.#base.index) this.#terms = [];
    // Where the segments before are gone, nothing is known of their entries but the last one's term.
    while (this.lastIndex < header.end.index)
      this.#terms.push(this.lastIndex + 1 === header.end.index ? header.end.term : unknownTerm);
    this.#position = record.end;
    this.#isFirstGroup = true;
    return true;
  }

  #readGroups(): void {
    const bytes = this.#inode?.durable;
    if (bytes === undefined) return;
    for (;;) {
      const group = readGroup(bytes, this.#position);
      if (group === null) return;
      for (const record of group.records)
        this.#take(
          decodeLogRecord(record, (payload) => payload),
          record.body,
        );
      // The segment's header and its first group are one write.
      this.#groupStart = this.#isFirstGroup ? 0 : this.#position;
      this.#isFirstGroup = false;
      this.#groupNumber = group.number;
      this.#position = group.end;
    }
  }

  #take(record: LogRecord, body: Uint8Array): void {
    switch (record.kind) {
      case "hardState":
        this.#hardState = record.hardState;
        return this.#onHardState(record.hardState);
      case "entry": {
        const { term, index } = record.entry;
        const previousTerm = this.#terms.at(-1) ?? this.#base.term;
        this.#terms.push(term);
        return this.#onEntry({ term, index, previousTerm, body });
      }
      case "truncation":
        return this.#cutAfter(record.after);
      case "boundary":
        return this.#rebase(record.base.last);
      case "reset":
        if (!record.keepTail) this.#terms = [];
        return this.#rebase(record.base.last);
    }
  }

  #cutAfter(index: Index): void {
    this.#terms.length = Math.max(0, Math.min(this.#terms.length, index - this.#base.index));
  }

  #rebase(base: EntryId): void {
    if (base.index > this.#base.index) this.#terms = this.#terms.slice(base.index - this.#base.index);
    this.#base = base;
  }
}

/** The group that begins at `position`; null unless all of its records are there. */
function readGroup(
  bytes: Buffer,
  position: number,
): { readonly number: number; readonly records: readonly RawRecord[]; readonly end: number } | null {
  const head = readRecord(bytes, position);
  if (head === null || head.type !== recordTypes.group) return null;
  const header = decodeGroupHeader(head);
  const end = head.end + header.bytes;
  if (end > bytes.length) return null;
  const records: RawRecord[] = [];
  for (let next = head.end; next < end;) {
    const record = readRecord(bytes, next);
    if (record === null) return null;
    records.push(record);
    next = record.end;
  }
  return { number: header.number, records, end };
}
