/** The content of one file: what would survive a power loss, and what was written since and might not. */

import type { Random } from "../random.ts";

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number };

/** Disks write sectors of this size whole or not at all. */
const sectorBytes = 512;

export class Inode {
  /** With room behind `#length`, in which anything may stand. */
  #bytes: Buffer = Buffer.allocUnsafe(256);
  #length = 0;
  #durable: Buffer | null = null;
  #unsynced: Change[] = [];

  /** What survives whatever happens. The same memory for as long as it only grows. */
  get durable(): Buffer {
    return (this.#durable ??= this.#bytes.subarray(0, this.#length));
  }

  /** As a process sees it, with what was not synced. */
  get length(): number {
    let length = this.#length;
    for (const change of this.#unsynced)
      length =
        change.kind === "truncate" ? change.length : Math.max(length, change.position + change.bytes.length);
    return length;
  }

  /** How many changes have not been synced: the mark up to which a sync that begins now will reach. */
  get unsyncedCount(): number {
    return this.#unsynced.length;
  }

  write(position: number, bytes: Uint8Array): void {
    this.#unsynced.push({ kind: "write", position, bytes });
  }

  truncate(length: number): void {
    this.#unsynced.push({ kind: "truncate", length });
  }

  /** Makes the oldest `count` changes durable. */
  sync(count = this.#unsynced.length): void {
    for (const change of this.#unsynced.splice(0, count)) this.#make(change);
  }

  /** As a process sees it that reads the file now, through the page cache. */
  read(): Uint8Array {
    const copy = new Inode();
    copy.#bytes = Buffer.from(this.durable);
    copy.#length = this.#length;
    for (const change of this.#unsynced) copy.#make(change);
    return new Uint8Array(copy.durable);
  }

  /** The power goes: of what was not synced some beginning survives, and the change after it perhaps in part. */
  losePower(random: Random, tearsWrites: boolean): void {
    const kept = random.below(this.#unsynced.length + 1);
    const torn = this.#unsynced[kept];
    this.sync(kept);
    if (torn?.kind === "write" && tearsWrites && random.chance(0.7)) this.#tear(torn, random);
    this.#unsynced = [];
  }

  /** A sync failed: the kernel has dropped some pages and calls the rest clean. What is on disk is anybody's guess. */
  failSync(random: Random): void {
    const changes = this.#unsynced;
    this.#unsynced = [];
    for (const change of changes) if (random.chance(0.5)) this.#make(change);
  }

  /** In new memory: checkers keep parts of the old one. */
  flipBit(position: number, bit: number): void {
    this.#bytes = Buffer.from(this.#bytes);
    this.#durable = null;
    this.#bytes[position] = this.#bytes[position]! ^ (1 << bit);
  }

  /** Some of the write's sectors, and the file perhaps as long as if all of them were there. */
  #tear(write: Change & { kind: "write" }, random: Random): void {
    const { position, bytes } = write;
    const isPrefix = random.chance(0.5);
    if (isPrefix)
      return this.#make({ kind: "write", position, bytes: bytes.subarray(0, random.below(bytes.length)) });
    for (let from = 0; from < bytes.length;) {
      const to = Math.min(bytes.length, from + sectorBytes - ((position + from) % sectorBytes));
      if (random.chance(0.5))
        this.#make({ kind: "write", position: position + from, bytes: bytes.subarray(from, to) });
      from = to;
    }
  }

  #make(change: Change): void {
    if (change.kind === "truncate") return this.#setLength(change.length);
    const end = change.position + change.bytes.length;
    if (end > this.#length) this.#setLength(end);
    this.#bytes.set(change.bytes, change.position);
  }

  #setLength(length: number): void {
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.durable);
      this.#bytes = larger;
    }
    this.#bytes.fill(0, Math.min(length, this.#length), Math.max(length, this.#length));
    this.#length = length;
    this.#durable = null;
  }
}
