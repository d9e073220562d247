/**
 * Writes a backup to a file. It has its name only once all of it was read back and is durable: whatever is named so can be restored, and what
 * a crash has left beside it is written anew by the next attempt.
 */

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Backup, readBackup } from "./backup-file.ts";
import { syncPath } from "./durable-path.ts";
import { StorageRefusal } from "./refusal.ts";

/** What came is not all of it, or could not be written. Nothing is left of it. */
export class BackupBrokeOffError extends Error {}

/** Throws a BackupBrokeOffError, or a StorageRefusal when what came is no whole backup, or the file cannot be made. */
export async function saveBackup(parts: AsyncIterable<Uint8Array>, file: string): Promise<Backup> {
  const unfinished = `${file}.unfinished`;
  try {
    await write(parts, unfinished);
    const backup = await readBackup(unfinished);
    await rename(unfinished, file);
    await syncPath(dirname(resolve(file)));
    return backup;
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function write(parts: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = await create(path);
  try {
    for await (const part of parts) await file.appendFile(part);
    await file.sync();
  } catch (error) {
    throw new BackupBrokeOffError((error as Error).message, { cause: error });
  } finally {
    await file.close();
  }
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, "w", 0o600);
  } catch (error) {
    throw new StorageRefusal(`no backup can be written there: ${(error as Error).message}`, { cause: error });
  }
}
