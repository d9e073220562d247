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
 */
export async function makeDurableFolder(path: string): Promise<void> {
  const folder = resolve(path);
  if (await isFolder(folder)) return;
  const above = dirname(folder);
  await makeDurableFolder(above);
  try {
    await fs.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new StorageRefusal(`no folder can be made in ${above}, where ${path} should be`, {
        cause: error,
      });
    // Somebody else may have made it meanwhile: members on one machine share the folders above their own.
    if (code !== "EEXIST" || !(await isFolder(folder))) throw error;
  }
  await syncPath(above);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
