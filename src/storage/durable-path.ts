/**
 * Makes names durable. A file or folder that was created, renamed or removed is so only once the folder that names it is synced: without
 * it POSIX allows a power loss to take a folder away whose files were synced one by one.
 */

import * as fs from "node:fs/promises";
import { dirname, resolve } from "node:path";

export async function syncPath(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the folder, and what is missing above it, for this user only. */
export async function makeDurableFolder(path: string): Promise<void> {
  const first = await fs.mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const last = dirname(resolve(first));
  for (let folder = resolve(path); folder !== last; folder = dirname(folder)) await syncPath(dirname(folder));
}
