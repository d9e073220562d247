/**
 * The names in a member's data folder that a power loss takes back: a file or folder that was created, renamed or removed is so only once
 * the folder that names it was synced. Each folder keeps its changes up to some moment and loses those after it; no folder waits for another.
 *
 * `name-shim.c` notes changes and syncs, and keeps what was removed or replaced under a second name.
 */

import * as fs from "node:fs";
import { join } from "node:path";

type Kind = "create" | "mkdir" | "remove" | "rmdir" | "rename";

interface NameChange {
  readonly kind: Kind;
  /** Whose name it is, as `identityOf` says it. */
  readonly folder: string;
  /** Where what was removed or replaced is kept; null when it is not, or was nothing. */
  readonly grave: string | null;
  readonly name: string;
  /** The new name of what was renamed; the identity of a folder that was removed. */
  readonly to: string;
}

export class UnsyncedNames {
  readonly #dataFolder: string;
  readonly #journal: string;
  readonly #graves: string;
  /** Folders that were removed and are back, by who they were. */
  readonly #restored = new Map<string, string>();

  constructor(dataFolder: string) {
    this.#dataFolder = dataFolder;
    this.#journal = `${dataFolder}.names`;
    this.#graves = `${this.#journal}.graves`;
  }

  /** The environment of the member. */
  environment(): Record<string, string> {
    fs.mkdirSync(this.#graves, { recursive: true });
    return { POWER_SHIM_FOLDER: this.#dataFolder, POWER_SHIM_NAMES: this.#journal };
  }

  /** Takes back what does not survive, from the last change on. Returns how many changes that were. */
  cut(random: () => number): number {
    const unsynced = unsyncedIn(this.#journal, this.#graves);
    const lost = new Set(
      Map.groupBy(unsynced, ({ folder }) => folder)
        .values()
        .flatMap((changes) => changes.slice(Math.floor(random() * (changes.length + 1)))),
    );
    let undone = 0;
    for (const change of unsynced.toReversed()) if (lost.has(change) && this.#undo(change)) undone += 1;
    fs.rmSync(this.#graves, { recursive: true });
    fs.mkdirSync(this.#graves);
    fs.rmSync(this.#journal, { force: true });
    this.#restored.clear();
    return undone;
  }

  /** Whether there was something to take back. */
  #undo({ kind, folder, grave, name, to }: NameChange): boolean {
    const above = this.#find(this.#restored.get(folder) ?? folder);
    // It was in a folder that is gone.
    if (above === null) return false;
    const path = join(above, name);
    if (kind === "create" || kind === "mkdir") fs.rmSync(path, { recursive: true, force: true });
    if (kind === "rmdir") {
      fs.mkdirSync(path, { recursive: true });
      this.#restored.set(to, identityOf(path) ?? "");
    }
    if (kind === "rename") {
      // The kill came before it was done.
      if (fs.existsSync(path)) return false;
      fs.renameSync(join(above, to), path);
    }
    const lost = kind === "rename" ? join(above, to) : path;
    if (grave !== null && !fs.existsSync(lost)) fs.linkSync(grave, lost);
    return true;
  }

  /** Folders are renamed, too: where the one of this identity is now. */
  #find(folder: string): string | null {
    const parent = join(this.#dataFolder, "..");
    const below = fs.existsSync(this.#dataFolder)
      ? fs.readdirSync(this.#dataFolder, { recursive: true, withFileTypes: true })
      : [];
    const folders = below
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
    return [parent, this.#dataFolder, ...folders].find((path) => identityOf(path) === folder) ?? null;
  }
}

/** Who a file or folder is, whatever it is called; null when there is none. */
export function identityOf(path: string): string | null {
  const about = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
  if (about === undefined) return null;
  return `${about.ino}-${about.birthtimeNs / 1_000_000_000n}-${about.birthtimeNs % 1_000_000_000n}`;
}

/** In the order in which they were made. */
function unsyncedIn(journal: string, graves: string): readonly NameChange[] {
  if (!fs.existsSync(journal)) return [];
  // One character a byte: syncs name positions.
  const text = fs.readFileSync(journal, "latin1");
  let unsynced: (NameChange & { readonly at: number })[] = [];
  let at = 0;
  // The kill may have come in the middle of the last line: then nobody was told.
  for (const line of text.slice(0, text.lastIndexOf("\n") + 1).split("\n")) {
    const [kind = "", folder = "", number = "", name = "", to = ""] = line.split("\t");
    if (kind === "synced") {
      const end = Number(number);
      unsynced = unsynced.filter((change) => change.folder !== folder || change.at >= end);
    } else if (kind !== "") {
      const grave = number === "0" ? null : join(graves, number);
      unsynced.push({ kind: kind as Kind, folder, grave, name, to, at });
    }
    at += line.length + 1;
  }
  return unsynced;
}
