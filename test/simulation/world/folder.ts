/** The names of one member's files: which of them would survive a power loss, and what changed since their folder was synced. */

import type { Random } from "../random.ts";
import { Inode } from "./inode.ts";

/** Names that change together: one for a new or removed file, two for a rename within a folder. */
type NameChange = readonly (readonly [path: string, inode: Inode | null])[];

export class Folder {
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #unsynced: NameChange[] = [];

  /** As a running process sees it. */
  find(path: string): Inode | null {
    return this.#names.get(path) ?? null;
  }

  findDurable(path: string): Inode | null {
    return this.#durableNames.get(path) ?? null;
  }

  list(folder: string): string[] {
    return namesIn(this.#names.keys(), folder);
  }

  listDurable(folder: string): string[] {
    return namesIn(this.#durableNames.keys(), folder);
  }

  durablePaths(): Iterable<string> {
    return this.#durableNames.keys();
  }

  create(path: string): Inode {
    const inode = new Inode();
    this.#change([[path, inode]]);
    return inode;
  }

  remove(path: string): void {
    if (this.#names.has(path)) this.#change([[path, null]]);
  }

  rename(from: string, to: string): boolean {
    const inode = this.#names.get(from);
    if (inode === undefined) return false;
    if (folderOf(from) === folderOf(to)) {
      this.#change([
        [from, null],
        [to, inode],
      ]);
    } else {
      this.#change([[to, inode]]);
      this.#change([[from, null]]);
    }
    return true;
  }

  sync(folder: string): void {
    const isHere = (change: NameChange): boolean => change.every(([path]) => folderOf(path) === folder);
    for (const change of this.#unsynced) if (isHere(change)) assign(this.#durableNames, change);
    this.#unsynced = this.#unsynced.filter((change) => !isHere(change));
  }

  losePower(random: Random, tearsWrites: boolean): void {
    const kept = random.below(this.#unsynced.length + 1);
    for (const change of this.#unsynced.slice(0, kept)) assign(this.#durableNames, change);
    this.#unsynced = [];
    this.#names = new Map(this.#durableNames);
    for (const inode of this.#names.values()) inode.losePower(random, tearsWrites);
  }

  #change(change: NameChange): void {
    assign(this.#names, change);
    this.#unsynced.push(change);
  }
}

function assign(names: Map<string, Inode>, change: NameChange): void {
  for (const [path, inode] of change) {
    if (inode === null) names.delete(path);
    else names.set(path, inode);
  }
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

function namesIn(paths: Iterable<string>, folder: string): string[] {
  const start = folder === "" ? 0 : folder.length + 1;
  const names: string[] = [];
  for (const path of paths)
    if (path.lastIndexOf("/") === start - 1 && path.startsWith(folder)) names.push(path.slice(start));
  return names.sort();
}
