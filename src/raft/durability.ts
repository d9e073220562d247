/**
 * How far this member's log is known to be on its disk.
 *
 * Writes go out in order of their sequence number and come back as "everything up to seq is durable". In between, a new leader may cut
 * entries and write others, or even the same ones, at the same indexes (the ABA problem): an acknowledgement of the first write must not
 * pass for one of the second. So each index remembers the *last* write that touched it, and only that one makes it durable.
 */

import { assert } from "./assert.ts";
import type { Index } from "./types.ts";

/** One write in flight: it covers the indexes after the previous write's `lastIndex`, up to its own. */
interface PendingWrite {
  readonly seq: number;
  lastIndex: Index;
}

export class Durability {
  /** The last index known to be on this disk. */
  #durableIndex: Index;
  /** In order of seq and, because a cut lowers the older ones, of lastIndex too. */
  #pending: PendingWrite[] = [];

  constructor(durableIndex: Index) {
    this.#durableIndex = durableIndex;
  }

  get durableIndex(): Index {
    return this.#durableIndex;
  }

  /** Entries up to `lastIndex` were handed to the disk as part of the write `seq`. */
  wrote(seq: number, lastIndex: Index): void {
    const newest = this.#pending.at(-1);
    if (newest?.seq === seq) {
      newest.lastIndex = lastIndex;
      return;
    }
    assert(newest === undefined || newest.seq < seq, "writes go out in order of seq");
    this.#pending.push({ seq, lastIndex });
  }

  /** The log was cut after `index`: earlier writes no longer vouch for anything above it. */
  truncateAfter(index: Index): void {
    this.#durableIndex = Math.min(this.#durableIndex, index);
    for (const write of this.#pending) write.lastIndex = Math.min(write.lastIndex, index);
  }

  /** A durable image stands for everything up to `index`, whether or not these entries have been written. */
  coveredUpTo(index: Index): void {
    this.#durableIndex = Math.max(this.#durableIndex, index);
  }

  /** Everything up to the write `seq` is durable. */
  stored(seq: number): void {
    for (let write = this.#pending[0]; write !== undefined && write.seq <= seq; write = this.#pending[0]) {
      this.#durableIndex = Math.max(this.#durableIndex, write.lastIndex);
      this.#pending.shift();
    }
  }

  /** The write that a promise about `index` has to wait for; 0 when it is durable already. */
  seqOf(index: Index): number {
    if (index <= this.#durableIndex) return 0;
    const write = this.#pending.find((candidate) => candidate.lastIndex >= index);
    assert(write !== undefined, `index ${index} is neither durable nor being written`);
    return write.seq;
  }
}
