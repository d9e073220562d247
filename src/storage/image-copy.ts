/** Reads the state image of a folder that must not be changed. */

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findImage, type ImageSearch } from "./state/find-image.ts";
import { LevelStores } from "./state/level-stores.ts";

/** LevelDB cannot be opened without being changed, so a copy is. */
export async function readImageCopy(dir: string): Promise<ImageSearch> {
  const copy = await mkdtemp(join(tmpdir(), "rollcall-inspect-"));
  try {
    const numbers = new LevelStores(dir).list();
    for (const number of numbers) {
      await cp(join(dir, `state.${number}`), join(copy, `state.${number}`), { recursive: true });
    }
    return await new Promise((resolve, reject) => {
      findImage(new LevelStores(copy), (error, search) => {
        if (search === null) return reject(error instanceof Error ? error : new Error(String(error)));
        if (search.found === null) return resolve(search);
        search.found.store.close(() => resolve(search));
      });
    });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
