/** The files of one member, on a disk that loses what was not synced, tears what was being written, and fails when told to. */

import type { Disk, DiskDone, DiskError, DiskFile } from "../../../src/storage/disk.ts";
import type { Random } from "../random.ts";
import { Folder } from "./folder.ts";
import type { Inode } from "./inode.ts";
import type { Lane, LaneFault } from "./lane.ts";
import type { SimProcess } from "./process.ts";

export interface DiskTiming {
  readonly writeMs: number;
  readonly syncMs: number;
}

export class SimDisk {
  readonly files = new Folder();
  readonly #lane: Lane;
  readonly #random: Random;
  readonly #timing: DiskTiming;
  readonly #tearsWrites: boolean;
  /** Called when something became durable: bytes of files, or names as well. */
  onDurable: (withNames: boolean) => void = () => {};

  constructor(options: {
    readonly lane: Lane;
    readonly random: Random;
    readonly timing: DiskTiming;
    readonly tearsWrites: boolean;
  }) {
    this.#lane = options.lane;
    this.#random = options.random;
    this.#timing = options.timing;
    this.#tearsWrites = options.tearsWrites;
  }

  losePower(): void {
    this.files.losePower(this.#random, this.#tearsWrites);
    this.onDurable(true);
  }

  /** The disk as one process uses it. */
  openFor(process: SimProcess): Disk {
    const ask = (
      name: string,
      meanMs: number,
      needsRoom: boolean,
      complete: (fault: LaneFault | null) => void,
    ): void => this.#lane.ask(process, { name, meanMs, needsRoom, complete });
    const { writeMs, syncMs } = this.#timing;
    const { files } = this;
    const change = (name: string, needsRoom: boolean, make: () => void, done: DiskDone): void =>
      ask(name, writeMs, needsRoom, (fault) => {
        if (fault === null) make();
        done(fault);
      });
    return {
      read: (path) => files.find(path)?.read() ?? null,
      list: (folder) => files.list(folder),
      makeFolder: (_path, done) => change("mkdir", false, () => {}, done),
      rename: (from, to, done) =>
        ask("rename", writeMs, false, (fault) =>
          done(fault ?? (files.rename(from, to) ? null : noSuchFile(from))),
        ),
      remove: (path, done) => change("remove", false, () => files.remove(path), done),
      syncFolder: (path, done) =>
        ask("syncFolder", syncMs, false, (fault) => {
          if (fault === null) {
            files.sync(path);
            this.onDurable(true);
          }
          done(fault);
        }),
      open: (path, done) =>
        ask("open", writeMs, files.find(path) === null, (fault) => {
          if (fault !== null) return done(fault, null);
          done(null, this.#file(files.find(path) ?? files.create(path), process));
        }),
    };
  }

  #file(inode: Inode, process: SimProcess): DiskFile {
    const { writeMs, syncMs } = this.#timing;
    const ask = (
      name: string,
      meanMs: number,
      needsRoom: boolean,
      complete: (fault: LaneFault | null) => void,
    ): void => this.#lane.ask(process, { name, meanMs, needsRoom, complete });
    return {
      write: (position, bytes, done) => this.#write(inode, position, bytes, process, done),
      truncate: (length, done) => {
        inode.truncate(length);
        ask("truncate", writeMs, false, done);
      },
      sync: (done) => {
        const count = inode.unsyncedCount;
        ask("sync", syncMs, false, (fault) => {
          if (fault === null) inode.sync(count);
          else inode.failSync(this.#random);
          this.onDurable(false);
          done(fault);
        });
      },
      close: (done) => ask("close", 0, false, () => done(null)),
    };
  }

  /** The bytes are in the page cache, and perhaps on the disk, from the beginning of the call on. */
  #write(inode: Inode, position: number, bytes: Uint8Array, process: SimProcess, done: DiskDone): void {
    const meanMs = this.#timing.writeMs;
    // What is written over has its room already.
    const isFull = this.#lane.isFull && position + bytes.length > inode.length;
    // When there is no room, some of it may fit all the same.
    if (!isFull) inode.write(position, bytes);
    else if (this.#random.chance(0.5))
      inode.write(position, bytes.subarray(0, this.#random.below(bytes.length)));
    this.#lane.ask(process, {
      name: "write",
      meanMs,
      needsRoom: false,
      complete: (fault) => done(fault ?? (isFull ? noRoom : null)),
    });
  }
}

const noRoom: DiskError = { code: "ENOSPC", message: "no space left on device" };

function noSuchFile(path: string): DiskError {
  return { code: "ENOENT", message: `${path}: no such file` };
}
