/**
 * The Raft log in memory: every entry after the base, and the marks that move along it.
 *
 *     base ≤ applied ≤ commit ≤ last,   applied ≤ durable ≤ last
 *
 * The base stands for all compacted entries. Entries are contiguous, their terms and cluster times never decrease (paper §5.3). The
 * log itself writes nothing: whoever changes it has already put the change into a `persist` effect, whose seq it passes along.
 */

import { assert, must } from "./assert.ts";
import { Durability } from "./durability.ts";
import { entryBytes, idOf, isAtLeast } from "./entry.ts";
import { History } from "./history.ts";
import type { BootState, Entry, EntryId, Index, Membership, Term } from "./types.ts";

/** What stands for the compacted part of the log. */
export type LogBase = BootState["base"];

export class RaftLog {
  #base: LogBase;
  /** `#entries[i]` has index base.last.index + 1 + i. */
  #entries: Entry[] = [];
  #durability: Durability;
  /** Memberships by the index of their entry; the newest is in force from the moment it is appended (thesis §4.1). */
  #memberships: History<Membership>;
  /** Cluster time of the newest election grace; -1 for never. */
  #graces: History<number>;
  #commitIndex: Index;
  #appliedIndex: Index;
  /** Up to here entries were given to the state machine; ahead of #appliedIndex while a page is being applied. */
  #handedOverIndex: Index;

  constructor(boot: Pick<BootState, "base" | "entries" | "appliedIndex">) {
    this.#base = boot.base;
    this.#memberships = new History(boot.base.membershipIndex, boot.base.membership);
    this.#graces = new History(boot.base.last.index, boot.base.lastGraceAt);
    for (const entry of boot.entries) this.#push(entry);
    this.#durability = new Durability(this.lastIndex);
    assert(
      boot.appliedIndex >= boot.base.last.index && boot.appliedIndex <= this.lastIndex,
      "the applied index lies within the log",
    );
    this.#commitIndex = this.#appliedIndex = this.#handedOverIndex = boot.appliedIndex;
  }

  get base(): LogBase {
    return this.#base;
  }

  /** The index of the first entry that is not compacted, whether or not it exists yet. */
  get firstIndex(): Index {
    return this.#base.last.index + 1;
  }

  get lastIndex(): Index {
    return this.#base.last.index + this.#entries.length;
  }

  get last(): EntryId {
    const entry = this.#entries.at(-1);
    return entry === undefined ? this.#base.last : idOf(entry);
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#base.last.term;
  }

  /** The newest stamp of cluster time that this log knows. */
  get lastClusterTime(): number {
    return this.#entries.at(-1)?.clusterTime ?? this.#base.clusterTime;
  }

  get lastGraceAt(): number {
    return this.#graces.latest.value;
  }

  get membership(): Membership {
    return this.#memberships.latest.value;
  }

  get membershipIndex(): Index {
    return this.#memberships.latest.index;
  }

  /**
   * Where the membership in force stands, to be compared with that of another log: whoever's is later knows more (`isAtLeast`). Once its entry
   * is compacted the base's term stands for its own: both are committed, and no later membership has an earlier term.
   */
  get membershipId(): EntryId {
    const index = this.membershipIndex;
    return { term: this.termAt(index) ?? this.#base.last.term, index };
  }

  /** The newest membership that is known to be committed, and every one after it: any of them may turn out to be the one that stays. */
  get possibleMemberships(): readonly Membership[] {
    return this.#memberships.since(this.#commitIndex);
  }

  /** Every membership still known, oldest first. */
  memberships(): readonly Membership[] {
    return this.#memberships.values();
  }

  get commitIndex(): Index {
    return this.#commitIndex;
  }

  get appliedIndex(): Index {
    return this.#appliedIndex;
  }

  get durableIndex(): Index {
    return this.#durability.durableIndex;
  }

  /** The term of the entry at `index`; null when it is compacted or not there. Never 0 for "unknown", which would match a missing entry. */
  termAt(index: Index): Term | null {
    if (index === this.#base.last.index) return this.#base.last.term;
    return this.entryAt(index)?.term ?? null;
  }

  /** The stamp of the entry at `index`, which is in the log or its base. */
  clusterTimeAt(index: Index): number {
    if (index === this.#base.last.index) return this.#base.clusterTime;
    return must(this.entryAt(index), `entry ${index} is in the log`).clusterTime;
  }

  entryAt(index: Index): Entry | undefined {
    return index < this.firstIndex ? undefined : this.#entries[index - this.firstIndex];
  }

  /** Whether this log contains that very entry, and so the same log up to it (paper §5.3, Log Matching). */
  has(id: EntryId): boolean {
    return this.termAt(id.index) === id.term;
  }

  /** Whether another entry stands where this one should. */
  conflictsWith(id: EntryId): boolean {
    const term = this.termAt(id.index);
    return term !== null && term !== id.term;
  }

  /** Whether a log that ends in `last` has everything that this one might have committed (paper §5.4.1). */
  isUpToDate(last: EntryId): boolean {
    return isAtLeast(last, this.last);
  }

  /** Entries from `from` up to `upTo`, as many as fit into `bytesMax`, but at least one if there is one. */
  slice(from: Index, bytesMax: number, upTo: Index = this.lastIndex): Entry[] {
    const start = from - this.firstIndex;
    assert(start >= 0, `entry ${from} is compacted`);
    let end = start;
    for (let bytes = 0; end < upTo + 1 - this.firstIndex; end += 1) {
      bytes += entryBytes(must(this.#entries[end], "the log is contiguous"));
      if (end > start && bytes > bytesMax) break;
    }
    return this.#entries.slice(start, end);
  }

  /** The lowest index, but none below `lowest`, after which the entries up to `index` come to no more than `bytesMax`. */
  indexBefore(index: Index, bytesMax: number, lowest: Index): Index {
    let [before, bytes] = [index, 0];
    while (before > lowest) {
      const entry = this.entryAt(before);
      if (entry === undefined) break;
      bytes += entryBytes(entry);
      if (bytes > bytesMax) break;
      before -= 1;
    }
    return before;
  }

  /** The entries after `after` up to and including `upTo`. */
  between(after: Index, upTo: Index): Entry[] {
    return this.#entries.slice(after + 1 - this.firstIndex, upTo + 1 - this.firstIndex);
  }

  /**
   * The largest index ≤ `index` whose entry has a term ≤ `term`: where two logs can at best agree when the other log holds `term` at
   * `index`. With it, either side skips a whole term at each refusal (paper §5.3, end). May point below the base, where nothing is known.
   */
  findByTerm(index: Index, term: Term): Index {
    let high = Math.min(index, this.lastIndex);
    let low = this.#base.last.index;
    if (high <= low) return high;
    if (this.#base.last.term > term) return Math.max(low - 1, 0);
    // Terms never decrease along the log, and the base's is not above `term`: search for the last one that is not.
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (must(this.termAt(middle), "the log is contiguous") <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Adds entries at the end, which are being written by `seq`. */
  append(entries: readonly Entry[], seq: number): void {
    for (const entry of entries) this.#push(entry);
    this.#durability.wrote(seq, this.lastIndex);
  }

  /** Cuts off all entries after `index`. They conflict with the leader's, so they were never committed (paper §5.3). */
  truncateAfter(index: Index): void {
    assert(index >= this.#commitIndex, "committed entries are never cut");
    this.#entries.length = Math.min(this.#entries.length, index - this.#base.last.index);
    this.#durability.truncateAfter(index);
    this.#memberships.truncateAfter(index);
    this.#graces.truncateAfter(index);
  }

  stored(seq: number): void {
    this.#durability.stored(seq);
  }

  /** The write that a promise about `index` has to wait for; 0 for none. */
  seqOf(index: Index): number {
    return this.#durability.seqOf(index);
  }

  commitTo(index: Index): void {
    assert(index >= this.#commitIndex, "the commit index never decreases");
    assert(index <= this.lastIndex, "only entries that exist are committed");
    this.#commitIndex = index;
  }

  /**
   * The next entries for the state machine: committed *and* durable here, or a crash could leave the state ahead of the log. Empty while
   * the previous page is being applied.
   */
  nextPage(entriesMax: number, bytesMax: number): Entry[] {
    if (this.#handedOverIndex > this.#appliedIndex || !this.hasMoreToApply) return [];
    const upTo = Math.min(this.#applicableIndex, this.#handedOverIndex + entriesMax);
    const page = this.slice(this.#handedOverIndex + 1, bytesMax, upTo);
    this.#handedOverIndex += page.length;
    return page;
  }

  /** Whether there is a next page, now or once the previous one was applied. */
  get hasMoreToApply(): boolean {
    return this.#applicableIndex > this.#handedOverIndex;
  }

  get #applicableIndex(): Index {
    return Math.min(this.#commitIndex, this.durableIndex);
  }

  /** The state machine holds everything up to `index`. A late answer, overtaken by a snapshot, changes nothing. */
  applied(index: Index): void {
    assert(index <= this.#handedOverIndex, "only entries that were handed over can be applied");
    this.#appliedIndex = Math.max(this.#appliedIndex, index);
  }

  /** Forgets all entries up to `index`; returns the base that stands for them. */
  compactTo(index: Index): LogBase {
    assert(
      index <= this.#appliedIndex && index <= this.durableIndex,
      "only applied and durable entries are compacted",
    );
    const last = must(this.entryAt(index), "the new base is in the log");
    const membership = this.#memberships.at(index);
    const tail = this.between(index, this.lastIndex);
    this.#base = {
      last: idOf(last),
      clusterTime: last.clusterTime,
      membership: membership.value,
      membershipIndex: membership.index,
      lastGraceAt: this.#graces.at(index).value,
    };
    this.#entries = tail;
    this.#memberships.compactTo(index);
    this.#graces.compactTo(index);
    return this.#base;
  }

  /** The state machine jumped ahead to a snapshot whose last entry this log contains: everything after it stays (B44 of the catalogue). */
  skipTo(index: Index): void {
    this.#commitIndex = Math.max(this.#commitIndex, index);
    this.#appliedIndex = Math.max(this.#appliedIndex, index);
    this.#handedOverIndex = Math.max(this.#handedOverIndex, index);
    this.#durability.coveredUpTo(index);
  }

  /** Starts over after a snapshot that this log does not contain. */
  resetTo(base: LogBase): void {
    assert(base.last.index > this.#commitIndex, "a snapshot never takes back what is committed");
    this.#base = base;
    this.#entries = [];
    this.#durability = new Durability(base.last.index);
    this.#memberships = new History(base.membershipIndex, base.membership);
    this.#graces = new History(base.last.index, base.lastGraceAt);
    this.#commitIndex = this.#appliedIndex = this.#handedOverIndex = base.last.index;
  }

  #push(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, "entries are contiguous");
    assert(entry.term >= this.last.term, "terms never decrease along the log");
    assert(entry.clusterTime >= this.lastClusterTime, "cluster time never decreases along the log");
    this.#entries.push(entry);
    if (entry.kind === "membership") this.#memberships.push(entry.index, entry.membership);
    if (entry.kind === "election" && entry.graceMs > 0) this.#graces.push(entry.index, entry.clusterTime);
  }
}
