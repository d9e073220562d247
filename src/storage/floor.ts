/**
 * `floor`: what this member has promised, kept apart from the log so that it survives what the log does not.
 *
 * It says up to which group the log was durable. A log that ends before it has lost something; without the floor, a log whose end
 * was lost would look like a shorter log. Two slots are written in turn, so that a crash while one is written leaves the other.
 *
 * It is written after the log with every vote and every term, before the driver is told, and otherwise a little later.
 */

import { must } from "../raft/assert.ts";
import type { EntryId, HardState } from "../raft/types.ts";
import { MalformedError, readFields } from "../registry/fields.ts";
import { checksum } from "./checksum.ts";
import type { Disk, DiskDone, DiskFile } from "./disk.ts";
import { inOrder } from "./disk-steps.ts";
import { decode, encode } from "./msgpack.ts";
import { StorageRefusal } from "./refusal.ts";
import type { Owner } from "./wal/contents.ts";

const floorPath = "floor";
const floorFormat = 1;

/** Each slot has a block of its own, so that writing one cannot harm the other. */
const slotBytes = 4096;

/** Text in a floor is cut to this, so that a slot always holds it. */
const damageCharsMax = 512;

/** length u32, checksum u32; little-endian, the body follows. */
const slotHeaderBytes = 8;

const failedSync = "ESYNC";

export interface Floor {
  readonly owner: Owner;
  readonly hardState: HardState;
  /** The last group of the log that was durable, the checksum that it ends with, and the log's end at that moment. */
  readonly group: number;
  readonly chain: number;
  readonly end: EntryId;
  /** Why this member's memory is not whole, since it was last found damaged; null when it is whole. */
  readonly damage: string | null;
}

export interface FloorReading {
  /** Of the newest slot that can be read. */
  readonly floor: (Floor & { readonly generation: number }) | null;
  /** Whether the file exists. */
  readonly exists: boolean;
}

/** Throws StorageRefusal when the floor is of a newer format. */
export function readFloor(disk: Disk): FloorReading {
  const bytes = disk.read(floorPath);
  if (bytes === null) return { floor: null, exists: false };
  const slots = [0, 1]
    .map((slot) => readSlot(bytes.subarray(slot * slotBytes, (slot + 1) * slotBytes)))
    .filter((slot) => slot !== null)
    .toSorted((a, b) => b.generation - a.generation);
  return { floor: slots[0] ?? null, exists: true };
}

/** Keeps the floor's file open and knows which slot is next. */
export class FloorFile {
  readonly #file: DiskFile;
  #generation: number;

  constructor(file: DiskFile, generation: number) {
    this.#file = file;
    this.#generation = generation;
  }

  /** Of the newest durable slot. */
  get generation(): number {
    return this.#generation;
  }

  /** Makes `floor` the newest slot. One at a time. After an error the floor may be the old one or the new one. */
  write(floor: Floor, done: DiskDone): void {
    const generation = this.#generation + 1;
    const position = (generation % 2) * slotBytes;
    const steps = [
      (next: DiskDone): void => this.#file.write(position, encodeSlot(floor, generation), next),
      // Whatever its code: after a failed sync nothing may be tried again, not even when only room was missing.
      (next: DiskDone): void =>
        this.#file.sync((error) => next(error === null ? null : { ...error, code: failedSync })),
    ];
    inOrder(steps, (error) => {
      if (error === null) this.#generation = generation;
      done(error);
    });
  }

  /** Writes both slots, so that no older one can come back. */
  writeBoth(floor: Floor, done: DiskDone): void {
    inOrder([(next) => this.write(floor, next), (next) => this.write(floor, next)], done);
  }

  close(done: DiskDone): void {
    this.#file.close(done);
  }
}

/** Opens the floor's file, and creates it if it is missing. `generation`: of the newest slot that could be read, 0 for none. */
export function openFloor(
  disk: Disk,
  generation: number,
  done: (error: Parameters<DiskDone>[0], floor: FloorFile | null) => void,
): void {
  disk.open(floorPath, (error, file) => {
    if (file === null) return done(error, null);
    // What was read may have been written by a process that was killed before its sync.
    inOrder([(next) => file.sync(next), (next) => disk.syncFolder("", next)], (syncError) =>
      done(syncError, syncError === null ? new FloorFile(file, generation) : null),
    );
  });
}

/** So many slots are allocated together: one by one they would cost more than all that is written into them. */
const slotsPerAllocation = 16;
let freeSlots = Buffer.alloc(0);

/** All zeros, and nobody else's: the one before may still be on its way to the disk. */
function newSlot(): Buffer {
  if (freeSlots.length === 0) freeSlots = Buffer.alloc(slotsPerAllocation * slotBytes);
  const slot = freeSlots.subarray(0, slotBytes);
  freeSlots = freeSlots.subarray(slotBytes);
  return slot;
}

function encodeSlot(floor: Floor, generation: number): Uint8Array {
  const { owner, hardState, end } = floor;
  const body = encode([
    floorFormat,
    generation,
    owner.clusterId,
    owner.memberId,
    owner.incarnation,
    [hardState.term, hardState.vote],
    floor.group,
    floor.chain,
    [end.term, end.index],
    floor.damage?.slice(0, damageCharsMax) ?? null,
  ]);
  const slot = newSlot();
  if (body.length > slotBytes - slotHeaderBytes)
    throw new RangeError(`a floor of ${body.length} bytes does not fit`);
  slot.writeUInt32LE(body.length, 0);
  slot.writeUInt32LE(checksum(body), 4);
  slot.set(body, slotHeaderBytes);
  return slot;
}

/** Null when the slot was never written, was torn, or is damaged. */
function readSlot(slot: Uint8Array): (Floor & { readonly generation: number }) | null {
  if (slot.length < slotHeaderBytes) return null;
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const body = slot.subarray(slotHeaderBytes, slotHeaderBytes + view.getUint32(0, true));
  if (
    body.length !== view.getUint32(0, true) ||
    checksum(body) !== view.getUint32(4, true) ||
    body.length === 0
  )
    return null;
  const value = decode(body);
  const format: unknown = Array.isArray(value) ? must(value[0], "a floor names its format") : null;
  if (typeof format === "number" && format > floorFormat) {
    throw new StorageRefusal(
      `the file ${floorPath} has format ${format}, and this version of Rollcall reads formats up to ${floorFormat}: start a newer version`,
    );
  }
  try {
    return readFields(value, "floor", (fields) => {
      fields.integer();
      return {
        generation: fields.integer(),
        owner: { clusterId: fields.text(), memberId: fields.text(), incarnation: fields.text() },
        hardState: fields.nested("hard state", (hardState) => ({
          term: hardState.integer(),
          vote: hardState.textOrNull(),
        })),
        group: fields.integer(),
        chain: fields.integer(),
        end: fields.nested("end of the log", (id) => ({ term: id.integer(), index: id.integer() })),
        damage: fields.textOrNull(),
      };
    });
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}
