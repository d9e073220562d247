/**
 * The files of one data folder, as the log and its companions use them.
 *
 * Everything that changes the disk is started by a call and ends with exactly one callback, never within the call itself; nothing here
 * is a promise. So a simulator can decide when each step happens and what of it survives a crash, and runs the same code as production.
 * Reading is synchronous: it happens only while a member opens its folder, before there is anything else to do.
 *
 * Paths are relative to the data folder, with forward slashes. A new, renamed or removed name is durable only after `syncFolder`.
 */

/** Why the disk refused. `code` is the operating system's name for it, such as ENOSPC or EIO. */
export interface DiskError {
  readonly code: string;
  readonly message: string;
}

export type DiskDone = (error: DiskError | null) => void;

/** An open file. Its operations run in the order of the calls. */
export interface DiskFile {
  /** Writes all the bytes at `position`. The bytes must not change before `done`. */
  write(position: number, bytes: Uint8Array, done: DiskDone): void;
  /** Cuts the file to `length` bytes. */
  truncate(length: number, done: DiskDone): void;
  /** Makes everything written so far survive a power loss. After an error nobody knows what did: never try again. */
  sync(done: DiskDone): void;
  close(done: DiskDone): void;
}

export interface Disk {
  /** The whole file; null when it does not exist. Throws when it exists and cannot be read. */
  read(path: string): Uint8Array | null;
  /** The names in a folder, sorted; empty when it does not exist. */
  list(folder: string): readonly string[];

  /** Creates the folder (0700) if it is missing; its parent exists. */
  makeFolder(path: string, done: DiskDone): void;
  /** Opens a file for writing, and creates it (0600) if it is missing. */
  open(path: string, done: (error: DiskError | null, file: DiskFile | null) => void): void;
  /** Replaces `to` if it exists. */
  rename(from: string, to: string, done: DiskDone): void;
  /** Removes a file; one that is not there is no error. */
  remove(path: string, done: DiskDone): void;
  /** Makes the names in a folder durable; "" is the data folder itself. */
  syncFolder(path: string, done: DiskDone): void;
}
