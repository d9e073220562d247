/** The data folder on a real file system: a thin shell over `node:fs`. */

import { constants } from "node:fs";
import * as fs from "node:fs";
import { join } from "node:path";
import type { Disk, DiskDone, DiskError, DiskFile } from "./disk.ts";

const fileMode = 0o600;
const folderMode = 0o700;

function toDiskError(error: NodeJS.ErrnoException | null): DiskError | null {
  return error === null ? null : { code: error.code ?? "EUNKNOWN", message: error.message };
}

/** Reads that find nothing are an answer; every other error is thrown. */
function orIfMissing<T>(read: () => T, missing: T): T {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return missing;
    throw error;
  }
}

class NodeFile implements DiskFile {
  readonly #handle: number;

  constructor(handle: number) {
    this.#handle = handle;
  }

  write(position: number, bytes: Uint8Array, done: DiskDone): void {
    fs.write(this.#handle, bytes, 0, bytes.length, position, (error, written) => {
      if (error !== null) return done(toDiskError(error));
      // The system may take less than it was given, for one before the disk is full: the rest then says why.
      if (written === bytes.length) return done(null);
      this.write(position + written, bytes.subarray(written), done);
    });
  }

  truncate(length: number, done: DiskDone): void {
    fs.ftruncate(this.#handle, length, (error) => done(toDiskError(error)));
  }

  sync(done: DiskDone): void {
    // fdatasync also writes a changed length; only times and the like are left out.
    fs.fdatasync(this.#handle, (error) => done(toDiskError(error)));
  }

  close(done: DiskDone): void {
    fs.close(this.#handle, (error) => done(toDiskError(error ?? null)));
  }
}

export class NodeDisk implements Disk {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  read(path: string): Uint8Array | null {
    return orIfMissing(() => fs.readFileSync(this.#resolve(path)), null);
  }

  list(folder: string): readonly string[] {
    return orIfMissing(() => fs.readdirSync(this.#resolve(folder)), []).toSorted();
  }

  makeFolder(path: string, done: DiskDone): void {
    fs.mkdir(this.#resolve(path), { mode: folderMode }, (error) =>
      done(error?.code === "EEXIST" ? null : toDiskError(error)),
    );
  }

  open(path: string, done: (error: DiskError | null, file: DiskFile | null) => void): void {
    fs.open(this.#resolve(path), constants.O_RDWR | constants.O_CREAT, fileMode, (error, handle) => {
      if (error === null) done(null, new NodeFile(handle));
      else done(toDiskError(error), null);
    });
  }

  rename(from: string, to: string, done: DiskDone): void {
    fs.rename(this.#resolve(from), this.#resolve(to), (error) => done(toDiskError(error)));
  }

  remove(path: string, done: DiskDone): void {
    fs.unlink(this.#resolve(path), (error) => done(error?.code === "ENOENT" ? null : toDiskError(error)));
  }

  syncFolder(path: string, done: DiskDone): void {
    fs.open(this.#resolve(path), constants.O_RDONLY, (openError, handle) => {
      if (openError !== null) return done(toDiskError(openError));
      fs.fsync(handle, (syncError) => {
        fs.close(handle, (closeError) => done(toDiskError(syncError ?? closeError ?? null)));
      });
    });
  }

  #resolve(path: string): string {
    return join(this.#root, path);
  }
}
