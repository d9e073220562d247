/**
 * Keeps two processes out of one data folder. Node cannot lock files, but LevelDB can: `lock/` is a LevelDB that holds nothing and is
 * opened only for its lock, which the kernel takes back when the process dies, however it dies. A file with a process id would have to be
 * believed, and ids are used again: in a container every process has the id of the one before it.
 */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { StorageRefusal } from "./refusal.ts";

export interface FolderLock {
  release(): Promise<void>;
}

/** Throws StorageRefusal when another process has the folder. */
export async function lockFolder(dir: string): Promise<FolderLock> {
  const folder = join(dir, "lock");
  const database = await openLocked(folder, dir).catch(async (error: unknown) => {
    if (error instanceof StorageRefusal) throw error;
    // LevelDB takes the lock before it reads anything: whatever else is wrong in there, nobody holds it.
    await rm(folder, { recursive: true, force: true });
    return openLocked(folder, dir);
  });
  return { release: () => database.close() };
}

async function openLocked(folder: string, dir: string): Promise<Level> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const database = new Level(folder, { cacheSize: 0 });
  try {
    await database.open();
    return database;
  } catch (error) {
    const cause =
      error instanceof Error ? (error.cause as { readonly code?: string } | undefined) : undefined;
    if (cause?.code !== "LEVEL_LOCKED") throw error;
    throw new StorageRefusal(
      `the data folder ${dir} is in use by another process: stop that one first, or choose another folder`,
    );
  }
}
