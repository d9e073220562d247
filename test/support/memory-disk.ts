/**
 * A disk in memory that keeps what was synced apart from what was not, executes operations only when told, and can lose power, lie and
 * break. For tests of storage and for the simulator.
 */

import type { Disk, DiskDone, DiskError, DiskFile } from "../../src/storage/disk.ts";

/** An operation that was asked for, for those who decide when it happens or whether it fails. */
export interface DiskOperation {
  readonly kind:
    | "write"
    | "sync"
    | "truncate"
    | "close"
    | "makeFolder"
    | "open"
    | "rename"
    | "remove"
    | "syncFolder"
    | "store";
  readonly path: string;
}

/** What happens instead: an error (after writing some of the bytes), or nothing at all, ever. */
export type Fault = { readonly code: string; readonly writtenBytes?: number } | "hang";

interface Pending {
  readonly operation: DiskOperation;
  readonly run: () => void;
}

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number };

/** A file apart from its names. */
interface Inode {
  current: Uint8Array;
  synced: Uint8Array;
  /** From `synced` to `current`. */
  changes: Change[];
}

/** A change of names that is not durable yet. */
interface NameChange {
  readonly removes: string | null;
  readonly adds: { readonly path: string; readonly inode: Inode } | null;
}

const sectorBytes = 512;

export class MemoryDisk implements Disk {
  #names: Map<string, Inode>;
  #durableNames: Map<string, Inode>;
  #nameChanges: NameChange[] = [];
  #pending: Pending[] = [];
  #isDead = false;

  /** Called when an operation was queued; the simulator plans a `step` for it. */
  onQueued: (operation: DiskOperation) => void = () => {};
  /** Asked when an operation is executed. */
  fault: (operation: DiskOperation) => Fault | null = () => null;
  /** Why a file cannot be read; null when it can. */
  readFault: (path: string) => string | null = () => null;
  /** A disk that says that it has synced, and has not: with it, tests of power loss must fail. */
  ignoresSyncs = false;
  /** How many operations were executed. */
  executed = 0;

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    const inodes = [...files].map(([path, bytes]): [string, Inode] => [
      path,
      { current: bytes, synced: bytes, changes: [] },
    ]);
    this.#names = new Map(inodes);
    this.#durableNames = new Map(inodes);
  }

  get pending(): readonly DiskOperation[] {
    return this.#pending.map(({ operation }) => operation);
  }

  /** Executes the oldest operation; false when there is none. */
  step(): boolean {
    const next = this.#pending.shift();
    if (next === undefined || this.#isDead) return false;
    this.executed += 1;
    next.run();
    return true;
  }

  /** Queues something that is no file's, so that one order covers everything that is durable. */
  enqueue(operation: DiskOperation, run: (error: DiskError | null) => void): void {
    this.#queue(operation, null, run);
  }

  /** Every file, as a process that reads now sees it. */
  files(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, inode]) => [path, inode.current]));
  }

  /** Changes a file behind everybody's back, durably. */
  corrupt(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const inode = this.#names.get(path);
    if (inode === undefined) throw new Error(`there is no file ${path}`);
    inode.current = change(Uint8Array.from(inode.current));
    inode.synced = inode.current;
    inode.changes = [];
  }

  /** The process dies: what was written stays, synced or not, and what was not synced is still to be lost with the power. */
  kill(): MemoryDisk {
    this.#isDead = true;
    const disk = new MemoryDisk();
    // Bytes are replaced and never changed, but their files are: a disk that was killed can be looked at again.
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      const copy = copies.get(inode) ?? { ...inode, changes: [...inode.changes] };
      copies.set(inode, copy);
      return copy;
    };
    const copyAll = (names: Map<string, Inode>): Map<string, Inode> =>
      new Map([...names].map(([path, inode]) => [path, copyOf(inode)]));
    disk.#names = copyAll(this.#names);
    disk.#durableNames = copyAll(this.#durableNames);
    disk.#nameChanges = this.#nameChanges.map(({ removes, adds }) => ({
      removes,
      adds: adds === null ? null : { ...adds, inode: copyOf(adds.inode) },
    }));
    return disk;
  }

  /**
   * The power goes: of what was not synced, each file keeps a random part of its changes, in order, the last of them torn at sectors; and
   * each change of a name is kept or lost by itself. The operation under way may have left something too.
   */
  crash(random: () => number): MemoryDisk {
    const names = new Map(this.#durableNames);
    for (const change of this.#nameChanges) if (random() < 0.5) applyNames(names, change);
    this.#isDead = true;
    return new MemoryDisk(new Map([...names].map(([path, inode]) => [path, survivingBytes(inode, random)])));
  }

  read(path: string): Uint8Array | null {
    const code = this.readFault(path);
    if (code !== null) throw Object.assign(new Error(`${code}: read ${path}`), { code });
    return this.#names.get(path)?.current ?? null;
  }

  list(folder: string): readonly string[] {
    return [...this.#names.keys()]
      .filter((path) => folderOf(path) === folder)
      .map((path) => path.slice(folder === "" ? 0 : folder.length + 1))
      .toSorted();
  }

  makeFolder(path: string, done: DiskDone): void {
    this.#queue({ kind: "makeFolder", path }, null, done);
  }

  open(path: string, done: (error: DiskError | null, file: DiskFile | null) => void): void {
    this.#queue({ kind: "open", path }, null, (error) => {
      if (error !== null) return done(error, null);
      let inode = this.#names.get(path);
      if (inode === undefined) {
        inode = { current: new Uint8Array(), synced: new Uint8Array(), changes: [] };
        this.#rename({ removes: null, adds: { path, inode } });
      }
      done(null, this.#fileOf(path, inode));
    });
  }

  rename(from: string, to: string, done: DiskDone): void {
    this.#queue({ kind: "rename", path: from }, null, (error) => {
      const inode = this.#names.get(from);
      if (error !== null || inode === undefined) return done(error ?? missing(from));
      this.#rename({ removes: from, adds: { path: to, inode } });
      done(null);
    });
  }

  remove(path: string, done: DiskDone): void {
    this.#queue({ kind: "remove", path }, null, (error) => {
      if (error === null && this.#names.has(path)) this.#rename({ removes: path, adds: null });
      done(error);
    });
  }

  syncFolder(path: string, done: DiskDone): void {
    this.#queue({ kind: "syncFolder", path }, null, (error) => {
      if (error === null && !this.ignoresSyncs) this.#syncNames(path);
      done(error);
    });
  }

  #fileOf(path: string, inode: Inode): DiskFile {
    return {
      write: (position, bytes, done) => {
        const written = Uint8Array.from(bytes);
        const change = (count: number): void =>
          changeFile(inode, { kind: "write", position, bytes: written.subarray(0, count) });
        this.#queue({ kind: "write", path }, change, (error) => {
          if (error === null) change(written.length);
          done(error);
        });
      },
      truncate: (length, done) =>
        this.#queue({ kind: "truncate", path }, null, (error) => {
          if (error === null) changeFile(inode, { kind: "truncate", length });
          done(error);
        }),
      sync: (done) =>
        this.#queue({ kind: "sync", path }, null, (error) => {
          if (error === null && !this.ignoresSyncs) {
            inode.synced = inode.current;
            inode.changes = [];
          }
          done(error);
        }),
      close: (done) => this.#queue({ kind: "close", path }, null, done),
    };
  }

  #queue(operation: DiskOperation, writePart: ((count: number) => void) | null, run: DiskDone): void {
    if (this.#isDead) return;
    this.#pending.push({
      operation,
      run: () => {
        const fault = this.fault(operation);
        if (fault === "hang") return;
        if (fault === null) return run(null);
        if (fault.writtenBytes !== undefined) writePart?.(fault.writtenBytes);
        run({ code: fault.code, message: `${fault.code}: ${operation.kind} ${operation.path}` });
      },
    });
    this.onQueued(operation);
  }

  #rename(change: NameChange): void {
    applyNames(this.#names, change);
    this.#nameChanges.push(change);
  }

  #syncNames(folder: string): void {
    const isIn = (change: NameChange): boolean =>
      [change.removes, change.adds?.path].some(
        (path) => path !== null && path !== undefined && folderOf(path) === folder,
      );
    for (const change of this.#nameChanges) if (isIn(change)) applyNames(this.#durableNames, change);
    this.#nameChanges = this.#nameChanges.filter((change) => !isIn(change));
  }
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

function missing(path: string): DiskError {
  return { code: "ENOENT", message: `ENOENT: there is no file ${path}` };
}

function applyNames(names: Map<string, Inode>, change: NameChange): void {
  if (change.removes !== null) names.delete(change.removes);
  if (change.adds !== null) names.set(change.adds.path, change.adds.inode);
}

function changeFile(inode: Inode, change: Change): void {
  inode.current = changed(inode.current, change);
  inode.changes.push(change);
}

function changed(bytes: Uint8Array, change: Change): Uint8Array {
  const length =
    change.kind === "truncate"
      ? change.length
      : Math.max(bytes.length, change.position + change.bytes.length);
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, length));
  if (change.kind === "write") result.set(change.bytes, change.position);
  return result;
}

function survivingBytes(inode: Inode, random: () => number): Uint8Array {
  let bytes = inode.synced;
  const whole = Math.floor(random() * (inode.changes.length + 1));
  for (const change of inode.changes.slice(0, whole)) bytes = changed(bytes, change);
  const torn = inode.changes[whole];
  return torn?.kind === "write" ? tear(bytes, torn, random) : bytes;
}

/** Of a write under way any sectors may be on the disk, in any order; and the file's length, with zeros, before them. */
function tear(
  bytes: Uint8Array,
  write: Extract<Change, { kind: "write" }>,
  random: () => number,
): Uint8Array {
  const reached = write.position + Math.floor(random() * (write.bytes.length + 1));
  const result = changed(bytes, { kind: "truncate", length: Math.max(bytes.length, reached) });
  const isInOrder = random() < 0.5;
  for (let from = write.position; from < reached;) {
    const to = Math.min(reached, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
    if (isInOrder || random() < 0.5) {
      result.set(write.bytes.subarray(from - write.position, to - write.position), from);
    }
    from = to;
  }
  return result;
}
