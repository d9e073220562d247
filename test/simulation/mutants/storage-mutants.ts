/** Bugs of the disk: the write-ahead log, its floor, recovery, and the state image. */

import type { Mutant } from "./mutant.ts";

export const storageMutants: readonly Mutant[] = [
  {
    name: "the log is never synced",
    catalogue: "B75",
    file: "storage/wal/write-ahead-log.ts",
    find: `      file.sync((syncError) => {`,
    replace: `      ((then) => then(null))((syncError) => {`,
  },
  {
    name: "a failed sync of the log counts as done",
    catalogue: "B78",
    file: "storage/wal/write-ahead-log.ts",
    find: `if (syncError !== null) return this.#fail("syncing the log", syncError, jobs);`,
    replace: ``,
  },
  {
    name: "a new segment's name is not synced",
    catalogue: "B82",
    file: "storage/wal/write-ahead-log.ts",
    find: `[(next) => file.sync(next), (next) => disk.syncFolder("wal", next)],`,
    replace: `[(next) => file.sync(next)],`,
  },
  {
    name: "a restart trusts what was never synced",
    catalogue: null,
    file: "storage/wal/open-log.ts",
    find: `else openSynced(disk, segmentPath(last.number), then);`,
    replace: `else disk.open(segmentPath(last.number), then);`,
  },
  {
    name: "rot is taken for a torn tail",
    catalogue: "B76",
    file: "storage/wal/scan.ts",
    find: `else if (this.#laterGroupExists(segment, position))`,
    replace: `else if (false)`,
  },
  {
    name: "checksums are not looked at",
    catalogue: "B76",
    file: "storage/wal/record.ts",
    find: `if (sum !== sumOf(segment, position, end)) return null;`,
    replace: ``,
  },
  {
    name: "a log that ends before its floor is whole",
    catalogue: "B83",
    file: "storage/recovery.ts",
    find: `if (scan.shape !== null && floor.group > scan.lastGroup) {`,
    replace: `if (false) {`,
  },
  {
    name: "a damaged member does not know that it is",
    catalogue: "B62",
    file: "storage/open-storage.ts",
    find: `appliedIndex, recovering: recovering !== null }, image };`,
    replace: `appliedIndex, recovering: false }, image };`,
  },
  {
    name: "the damage is forgotten with the next start",
    catalogue: "B62",
    file: "storage/recovery.ts",
    find: `const earlier = findings.floor.floor?.damage ?? null;`,
    replace: `const earlier = null;`,
  },
  {
    name: "what is known of a term reaches beyond the boundary",
    catalogue: null,
    file: "storage/wal/log-shape.ts",
    find: `if (known !== unknownTerm || next === last.index + 1) return [boundary, ...above];`,
    replace: `if (true) return [boundary, ...above];`,
  },
  {
    name: "a segment is dropped while entries in it are needed",
    catalogue: "B82",
    file: "storage/wal/write-ahead-log.ts",
    find: `next.indexBefore > this.#shape.base.last.index`,
    replace: `next.indexBefore > this.#shape.base.last.index + 5`,
  },
  {
    name: "a full disk loses what was queued behind the failed write",
    catalogue: "B81",
    file: "replica/storage-lane.ts",
    find: `for (const job of this.#unfinished) this.#start(job);`,
    replace: `for (const job of this.#unfinished.slice(0, 1)) this.#start(job);`,
  },
  {
    name: "a later hard state in the floor is not looked at",
    catalogue: "B83",
    file: "storage/recovery.ts",
    find: `return a.term > b.term || (a.term === b.term && a.vote !== null && b.vote === null);`,
    replace: `return a.term < b.term;`,
  },
  {
    name: "a received image is applied again from the beginning",
    catalogue: "B80",
    file: "storage/open-storage.ts",
    find: `const appliedIndex = image.base.last.index;`,
    replace: `const appliedIndex = base.last.index;`,
  },
];
