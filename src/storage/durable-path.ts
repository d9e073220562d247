/**
 * Makes names durable. A file or folder that was created, renamed or removed is so only once the folder that names it is synced: without
 * it POSIX allows a power loss to take a folder away whose files were synced one by one.
 */

import * as fs from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { StorageRefusal } from "./refusal.ts";

export async function syncPath(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes the folder, and what is missing above it, for this user only. One by one: Node's own recursion never ends where a file system
 * takes no folders and says ENOENT for it, as /proc does.
 *
 * What is there already may have been made by a process that was killed before its sync, so all that this user could have made is synced too.
 */
export async function makeDurablePath(path: string): Promise<void> {
  const folder = resolve(path);
  const above = dirname(folder);
  if (above === folder) return;
  if (!(await isFolder(folder))) await makeDurablePath(above);
  else if (await isWritable(above)) await makeDurablePath(above);
  else return;
  await makeDurableFolder(folder);
}

/** Makes the folder in one that is there and durable. */
export async function makeDurableFolder(folder: string): Promise<void> {
  const above = dirname(folder);
  try {
    await fs.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new StorageRefusal(`no folder can be made in ${above}`, { cause: error });
    // An earlier life has made it, or somebody else meanwhile: members on one machine share the folders above their own.
    if (code !== "EEXIST" || !(await isFolder(folder))) throw error;
  }
  await syncPath(above);
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await fs.access(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
