/** Several steps on a disk, one after the other, without promises. */

import type { StorageFailure } from "../replica/ports.ts";
import type { Disk, DiskDone, DiskError, DiskFile } from "./disk.ts";

export type DiskStep = (done: DiskDone) => void;

/** Runs the steps in order; the first error ends the row. */
export function inOrder(steps: readonly DiskStep[], done: DiskDone): void {
  const run = (i: number): void => {
    const step = steps[i];
    if (step === undefined) return done(null);
    step((error) => (error === null ? run(i + 1) : done(error)));
  };
  run(0);
}

/** Opens a file, does something with it, and closes it, whether that went well or not. */
export function withFile(
  disk: Disk,
  path: string,
  use: (file: DiskFile, done: DiskDone) => void,
  done: DiskDone,
): void {
  disk.open(path, (openError, file) => {
    if (file === null) return done(openError);
    use(file, (error) => file.close((closeError) => done(error ?? closeError)));
  });
}

/**
 * Replaces a small file as a whole: after a crash at any moment either the old bytes or the new ones are there.
 *
 * The temporary file is synced before the rename, or the new name might stand for an empty file.
 */
export function replaceFile(disk: Disk, path: string, bytes: Uint8Array, done: DiskDone): void {
  const temporary = `${path}.tmp`;
  const write: DiskStep = (next) =>
    withFile(
      disk,
      temporary,
      (file, written) =>
        inOrder(
          [(step) => file.truncate(0, step), (step) => file.write(0, bytes, step), (step) => file.sync(step)],
          written,
        ),
      next,
    );
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  inOrder(
    [write, (next) => disk.rename(temporary, path, next), (next) => disk.syncFolder(folder, next)],
    done,
  );
}

/** No room is left: the one failure of a write after which the disk is still to be trusted. */
export function isFull(error: DiskError): boolean {
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}

/** What the driver is told of an error after which nobody knows what the disk holds. */
export function asFailed(attempt: string, error: DiskError): StorageFailure {
  return { kind: "failed", message: `${attempt} failed: ${error.message}` };
}
