/**
 * The leases: when each registration goes unless it is renewed, and through which member it was renewed last.
 *
 * Renewals are the most frequent change of all, so a lease is a slot in dense arrays and a renewal is a few stores. Slots are recorded
 * in blocks of 256: ten thousand renewals change a few dozen records. What is due first comes from a heap that renewals leave alone:
 * the heap's time of a slot is a lower bound, corrected when it reaches the top.
 */

import { DueHeap } from "./due-heap.ts";
import type { Fields } from "./fields.ts";
import type { ChangedRecords } from "./changed-records.ts";
import { Recorded } from "./records.ts";
import type { Registration } from "./registration.ts";
import { SlotIndex } from "./slot-index.ts";

const slotsPerBlock = 256;

/** Their numbers stand in one allocation: a thousand small ones would lie among everything that a start allocates and lets go. */
const blocksPerSlab = 32;

/** Incarnation and time, and the member's number. */
const blockBytes = slotsPerBlock * (8 + 8 + 2);

export class Leases {
  readonly #changed: ChangedRecords;
  /** By slot. */
  readonly #holders: (Registration | null)[] = [];
  readonly #byHandle = new SlotIndex((slot) => this.incarnationOf(slot));
  readonly #blocks: LeaseBlock[] = [];
  /** Of the newest blocks. */
  #slab = new ArrayBuffer(0);
  readonly #due: DueHeap;
  /** Free slots below the end; the lowest is taken first, which every member finds alike whatever came before. */
  readonly #free = new DueHeap(() => 0);

  constructor(changed: ChangedRecords) {
    this.#changed = changed;
    this.#due = new DueHeap((left, right) => this.incarnationOf(left) - this.incarnationOf(right));
  }

  get count(): number {
    return this.#byHandle.count;
  }

  /** The registration with this incarnation, if it is the current one under its id. */
  holder(handle: number): Registration | null {
    return this.holderOf(this.#byHandle.find(handle));
  }

  holderOf(slot: number): Registration | null {
    return this.#holders[slot] ?? null;
  }

  /** The slot for a new registration. Taken by `grant`. */
  freeSlot(): number {
    const free = this.#free.first();
    return free >= 0 ? free : this.#holders.length;
  }

  /** Grants the registration its lease, or its new incarnation a new one in the same slot. */
  grant(registration: Registration, dueAt: number, via: number): void {
    const { slot, instance } = registration;
    this.#free.delete(slot);
    this.#byHandle.delete(slot);
    this.#holders[slot] = registration;
    this.#blockOf(slot).hold(slot % slotsPerBlock, instance.incarnation);
    this.#byHandle.add(slot);
    this.#store(slot, dueAt, via);
    this.#due.set(slot, dueAt);
  }

  /** Moves the time at which the registration goes. */
  move(slot: number, dueAt: number, via: number): void {
    this.#store(slot, dueAt, via);
    if (dueAt < this.#due.timeOf(slot)) this.#due.set(slot, dueAt);
  }

  release(registration: Registration): void {
    const { slot } = registration;
    this.#byHandle.delete(slot);
    this.#holders[slot] = null;
    this.#due.delete(slot);
    this.#free.set(slot, slot);
    const block = this.#blockOf(slot);
    block.clear(slot % slotsPerBlock);
    if (block.isEmpty) this.#changed.remove(block);
    else this.#changed.put(block);
  }

  incarnationOf(slot: number): number {
    return this.#blocks[blockNumber(slot)]?.incarnations[slot % slotsPerBlock] ?? 0;
  }

  dueAt(slot: number): number {
    return this.#blocks[blockNumber(slot)]?.dueAt[slot % slotsPerBlock] ?? 0;
  }

  /** The number of the member through which the lease was renewed last. */
  via(slot: number): number {
    return this.#blocks[blockNumber(slot)]?.via[slot % slotsPerBlock] ?? 0;
  }

  /** The registration that is due first, by (time, incarnation); null for none. */
  first(): Registration | null {
    for (;;) {
      const slot = this.#due.first();
      if (slot < 0) return null;
      if (!this.#correct(slot)) return this.holderOf(slot);
    }
  }

  /**
   * Corrects up to `limit` lower bounds that `now` has passed. Nobody needs it to: it spreads the work that the next expiry would
   * otherwise do at once on a member that never asks what is due first.
   */
  tidy(now: number, limit: number): void {
    for (let i = 0; i < limit; i += 1) {
      const slot = this.#due.first();
      if (slot < 0 || this.#due.timeOf(slot) > now || !this.#correct(slot)) return;
    }
  }

  *blocks(): Generator<Recorded> {
    for (const block of this.#blocks) if (!block.isEmpty) yield block;
  }

  /** At load: the leases of one block, before the registrations that hold them. */
  readBlock(number: number, fields: Fields): void {
    const block = this.#makeBlock(number);
    block.read(fields);
  }

  /** At load: puts a registration into its slot. Returns whether the slot's lease is its own. */
  adopt(registration: Registration): boolean {
    const { slot, instance } = registration;
    if (this.incarnationOf(slot) !== instance.incarnation || this.holderOf(slot) !== null) return false;
    while (this.#holders.length <= slot) this.#holders.push(null);
    this.#holders[slot] = registration;
    this.#byHandle.add(slot);
    return true;
  }

  /** At load, after all registrations: what is held becomes due, and what is not is free. */
  *adopted(): Generator<undefined> {
    for (const [slot, holder] of this.#holders.entries()) {
      if (holder === null) this.#free.set(slot, slot);
      else this.#due.set(slot, this.dueAt(slot));
      yield;
    }
  }

  #correct(slot: number): boolean {
    const dueAt = this.dueAt(slot);
    if (this.#due.timeOf(slot) === dueAt) return false;
    this.#due.set(slot, dueAt);
    return true;
  }

  #store(slot: number, dueAt: number, via: number): void {
    const block = this.#blockOf(slot);
    block.dueAt[slot % slotsPerBlock] = dueAt;
    block.via[slot % slotsPerBlock] = via;
    this.#changed.put(block);
  }

  #blockOf(slot: number): LeaseBlock {
    return this.#makeBlock(blockNumber(slot));
  }

  #makeBlock(number: number): LeaseBlock {
    for (let next = this.#blocks.length; next <= number; next += 1) {
      if (next % blocksPerSlab === 0) this.#slab = new ArrayBuffer(blocksPerSlab * blockBytes);
      this.#blocks.push(new LeaseBlock(next, this.#slab, (next % blocksPerSlab) * blockBytes));
    }
    const block = this.#blocks[number];
    if (block === undefined) throw new Error(`lease block ${number} is missing`);
    return block;
  }
}

function blockNumber(slot: number): number {
  return Math.floor(slot / slotsPerBlock);
}

class LeaseBlock extends Recorded {
  override readonly recordKey: string;
  /** 0 for a free slot. */
  readonly incarnations: Float64Array;
  readonly dueAt: Float64Array;
  readonly via: Uint16Array;
  #heldCount = 0;

  /** Its numbers stand in `slab`, from byte `start` on. */
  constructor(number: number, slab: ArrayBuffer, start: number) {
    super();
    this.recordKey = `lease-block/${number}`;
    this.incarnations = new Float64Array(slab, start, slotsPerBlock);
    this.dueAt = new Float64Array(slab, start + slotsPerBlock * 8, slotsPerBlock);
    this.via = new Uint16Array(slab, start + slotsPerBlock * 16, slotsPerBlock);
  }

  get isEmpty(): boolean {
    return this.#heldCount === 0;
  }

  hold(position: number, incarnation: number): void {
    if (this.incarnations[position] === 0 && incarnation !== 0) this.#heldCount += 1;
    this.incarnations[position] = incarnation;
  }

  clear(position: number): void {
    if (this.incarnations[position] !== 0) this.#heldCount -= 1;
    this.incarnations[position] = 0;
    this.dueAt[position] = 0;
    this.via[position] = 0;
  }

  /** Up to the last slot that is held: most registries are small, and a block is recorded and hashed with every renewal in it. */
  override recordValue(): unknown {
    const values: number[] = [];
    const end = this.#end();
    for (let i = 0; i < end; i += 1) {
      values.push(this.incarnations[i] ?? 0, this.dueAt[i] ?? 0, this.via[i] ?? 0);
    }
    return values;
  }

  read(fields: Fields): void {
    for (let position = 0; position < slotsPerBlock && fields.hasMore(); position += 1) {
      this.hold(position, fields.integer());
      this.dueAt[position] = fields.integer();
      this.via[position] = fields.integer();
    }
  }

  /** After the last slot that is held. */
  #end(): number {
    let end = slotsPerBlock;
    while (end > 0 && this.incarnations[end - 1] === 0) end -= 1;
    return end;
  }
}
