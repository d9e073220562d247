/** The room on the disk of a data folder: how much there is, and a file that only takes some, to be given back in an emergency. */

import * as fs from "node:fs";
import { join } from "node:path";
import type { DiskRoom } from "../replica/ports.ts";

const reserveName = "reserve";

/** Written in steps, so that the other writes of this process get their turn. */
const stepBytes = 1024 * 1024;

export class NodeDiskRoom implements DiskRoom {
  readonly #dir: string;
  readonly #path: string;
  readonly #reserveBytes: number;
  /** Whether the file is there in full, or is being written. */
  #isReserved: boolean;

  constructor(dir: string, reserveBytes: number) {
    this.#dir = dir;
    this.#path = join(dir, reserveName);
    this.#reserveBytes = reserveBytes;
    this.#isReserved = reserveBytes === 0 || sizeOf(this.#path) >= reserveBytes;
  }

  look(done: (freeBytes: number | null) => void): void {
    fs.statfs(this.#dir, (error, room) => done(error === null ? room.bavail * room.bsize : null));
  }

  releaseReserve(): void {
    this.#isReserved = false;
    // That it is not there is what was wanted.
    fs.unlink(this.#path, () => {});
  }

  restoreReserve(): void {
    if (this.#isReserved) return;
    this.#isReserved = true;
    fs.open(this.#path, "w", 0o600, (error, file) => {
      if (error === null) this.#fill(file, 0);
      else this.#isReserved = false;
    });
  }

  /** Zeros, really written: a length alone takes no room. */
  #fill(file: number, written: number): void {
    const bytes = Math.min(stepBytes, this.#reserveBytes - written);
    if (bytes <= 0 || !this.#isReserved) return fs.close(file, () => {});
    fs.write(file, new Uint8Array(bytes), 0, bytes, written, (error, count) => {
      if (error === null) return this.#fill(file, written + count);
      fs.close(file, () => this.releaseReserve());
    });
  }
}

function sizeOf(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
