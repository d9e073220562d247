/** One member's storage on a disk in memory, and the steps that tests of crashes take with it. */

import type { Clock, LogBase, Recovered, Scheduler } from "../../src/replica/ports.ts";
import type { Entry, Membership } from "../../src/raft/types.ts";
import { openStorage, type Storage } from "../../src/storage/open-storage.ts";
import type { WalLimits } from "../../src/storage/wal/write-ahead-log.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { MemoryStores } from "../support/memory-stores.ts";
import { VirtualTime } from "../support/virtual-time.ts";

export const membership: Membership = {
  voters: ["n1", "n2", "n3"],
  outgoing: [],
  learners: [],
  members: ["n1", "n2", "n3"].map((id) => ({
    id,
    incarnation: `of-${id}`,
    peerUrl: `http://${id}:7501`,
    clientUrl: `http://${id}:7401`,
  })),
};

/** Small, so that a few entries fill a segment and a few groups call for a floor. */
export const smallLimits: WalLimits = {
  segmentBytesMax: 600,
  groupBytesMax: 1_000_000,
  floorLagMs: 1_000,
  floorLagEntries: 4,
};

export function anEntry(index: number, term: number, bytes = 20): Entry {
  return { kind: "command", term, index, clusterTime: index, payload: new Uint8Array(bytes).fill(index) };
}

export function entriesFrom(first: number, count: number, term: number): Entry[] {
  return Array.from({ length: count }, (_, i) => anEntry(first + i, term));
}

export function baseAt(index: number, term: number): LogBase {
  return { last: { term, index }, clusterTime: index, membership, membershipIndex: 1, lastGraceAt: -1 };
}

export class Machine {
  readonly disk: MemoryDisk;
  readonly stores: MemoryStores;
  readonly time = new VirtualTime();
  readonly clock: Clock = { monotonicMs: () => this.time.nowMs, wallMs: () => this.time.nowMs };
  readonly scheduler: Scheduler = {
    soon: (task) => void this.time.after(0, task),
    after: (ms, task) => this.time.after(ms, task),
  };

  constructor(disk = new MemoryDisk(), stores = new MemoryStores(disk)) {
    this.disk = disk;
    this.stores = stores;
  }

  /** A member of a cluster, freshly founded. */
  static founded(limits: WalLimits = smallLimits): { readonly machine: Machine; readonly storage: Storage } {
    const machine = new Machine();
    const storage = machine.open(limits);
    machine.wait((done) => storage.join("c1", membership, done));
    return { machine, storage };
  }

  /** Opens the folder; throws what the opening ended with. */
  open(limits: WalLimits = smallLimits, memberId = "n1"): Storage {
    let result: { readonly error: unknown; readonly storage: Storage | null } | null = null;
    this.startOpen(limits, memberId, (error, storage) => {
      result = { error, storage };
    });
    this.settle();
    const { error, storage } = result as unknown as { error: unknown; storage: Storage | null };
    if (storage === null) throw error;
    return storage;
  }

  startOpen(limits: WalLimits, memberId: string, done: Parameters<typeof openStorage>[1]): void {
    const { disk, stores, clock, scheduler } = this;
    openStorage({ disk, stores, clock, scheduler, limits, memberId, newIncarnation: `of-${memberId}` }, done);
  }

  /** Runs what `start` begins to its end, and returns what it ended with. */
  wait<T>(start: (done: (result: T) => void) => void): T {
    const results: T[] = [];
    start((result) => void results.push(result));
    if (results.length > 0) throw new Error("an operation ended within its call");
    this.settle();
    if (results.length !== 1) throw new Error(`an operation ended ${results.length} times`);
    return results[0] as T;
  }

  /** Runs until nothing is left to do but wait for timers. */
  settle(): void {
    while (this.stepOnce());
  }

  /** One operation of the disk, and everything that follows from it at once; false when there is none. */
  stepOnce(): boolean {
    this.time.runFor(0);
    if (!this.disk.step()) return false;
    this.time.runFor(0);
    return true;
  }

  /** The same folder after the process died. */
  killed(): Machine {
    const disk = this.disk.kill();
    return new Machine(disk, this.stores.kill(disk));
  }

  /** The same folder after the power went. */
  crashed(random: () => number): Machine {
    const disk = this.disk.crash(random);
    return new Machine(disk, this.stores.crash(disk, random));
  }
}

/** What Raft starts from, in a form that can be compared. */
export function memoryOf({ boot }: Recovered): unknown {
  const { hardState, base, entries } = boot;
  return { hardState, base, entries: entries.map(plainEntry) };
}

export function plainEntry(entry: Entry): unknown {
  return entry.kind === "command" ? { ...entry, payload: [...entry.payload] } : entry;
}
