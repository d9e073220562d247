/** Opens the data folder of a member on a real disk: the lock, the files, LevelDB, and promises instead of callbacks. */

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Membership, NodeId } from "../raft/types.ts";
import { nodeClock, nodeScheduler } from "../replica/node-runtime.ts";
import type { Clock, CommandCodec, LogStore, Recovered, Scheduler, StateStore } from "../replica/ports.ts";
import { commandCodec } from "./command-codec.ts";
import type { Disk } from "./disk.ts";
import { makeDurablePath } from "./durable-path.ts";
import { lockFolder } from "./folder-lock.ts";
import type { Identity } from "./identity.ts";
import { NodeDisk } from "./node-disk.ts";
import { openStorage, type Storage, type StorageReport } from "./open-storage.ts";
import { StorageRefusal } from "./refusal.ts";
import { LevelStores } from "./state/level-stores.ts";
import { defaultWalLimits, type WalLimits } from "./wal/write-ahead-log.ts";

export interface OpenMemberOptions {
  /** The data folder; it is created if it is missing. */
  readonly dir: string;
  readonly memberId: NodeId;
  /** In the place of the real disk, for tests that break it; LevelDB uses the real one all the same. */
  readonly disk?: Disk;
  readonly clock?: Clock;
  readonly scheduler?: Scheduler;
  readonly limits?: Partial<WalLimits>;
  /** Called when other threads have begun to read the state image: what takes the processor now costs the start no time. */
  readonly whileReading?: () => void;
}

/** An open data folder. Also what the first start (`replica/bootstrap.ts`) needs of a disk. */
export interface OpenedStorage {
  readonly identity: Identity;
  /** Null until the member belongs to a cluster. */
  readonly log: LogStore | null;
  readonly state: StateStore | null;
  readonly recovered: Recovered | null;
  readonly codec: CommandCodec;
  readonly report: StorageReport & { readonly tookMs: number };
  read(): Pick<Identity, "incarnation" | "clusterId" | "promisedClusterId">;
  /** Resolves once the promise survives a power loss. */
  savePromise(clusterId: string): Promise<void>;
  /** Resolves once this member belongs to the cluster, whatever happens: with the founding entry, or for null with an empty log. */
  join(clusterId: string, founding: Membership | null): Promise<void>;
  /** Lets go of the contents of `recovered`, once the member has taken them: they are as large as its state. */
  forgetRecovered(): void;
  close(): Promise<void>;
}

/** Throws StorageRefusal, with one sentence for whoever started the member, when the folder is not for it. */
export async function openMemberStorage(options: OpenMemberOptions): Promise<OpenedStorage> {
  const startedMs = performance.now();
  await makeDurablePath(options.dir);
  const lock = await lockFolder(options.dir);
  try {
    const storage = await open(options);
    const report = { ...storage.report, tookMs: performance.now() - startedMs };
    return new OpenedFolder(storage, report, () => lock.release());
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function open(options: OpenMemberOptions): Promise<Storage> {
  const { dir, memberId, disk, clock, scheduler, limits } = options;
  const environment = {
    disk: disk ?? new NodeDisk(dir),
    stores: new LevelStores(dir),
    clock: clock ?? nodeClock,
    scheduler: scheduler ?? nodeScheduler,
    limits: { ...defaultWalLimits, ...limits },
    memberId,
    newIncarnation: randomBytes(8).toString("hex"),
  };
  return new Promise((resolve, reject) => {
    openStorage(environment, (error, storage) => {
      if (storage === null) reject(asRefusal(dir, error));
      else resolve(storage);
    });
    options.whileReading?.();
  });
}

class OpenedFolder implements OpenedStorage {
  readonly codec = commandCodec;
  readonly report: OpenedStorage["report"];
  readonly #storage: Storage;
  readonly #release: () => Promise<void>;

  constructor(storage: Storage, report: OpenedStorage["report"], release: () => Promise<void>) {
    this.#storage = storage;
    this.report = report;
    this.#release = release;
  }

  get identity(): Identity {
    return this.#storage.identity;
  }

  get log(): LogStore | null {
    return this.#storage.stores?.log ?? null;
  }

  get state(): StateStore | null {
    return this.#storage.stores?.state ?? null;
  }

  get recovered(): Recovered | null {
    return this.#storage.stores?.recovered ?? null;
  }

  read(): Pick<Identity, "incarnation" | "clusterId" | "promisedClusterId"> {
    return this.#storage.identity;
  }

  savePromise(clusterId: string): Promise<void> {
    return settled("saving a promise", (done) => this.#storage.savePromise(clusterId, done));
  }

  join(clusterId: string, founding: Membership | null): Promise<void> {
    return settled(`joining cluster ${clusterId}`, (done) => this.#storage.join(clusterId, founding, done));
  }

  forgetRecovered(): void {
    this.#storage.forgetRecovered();
  }

  async close(): Promise<void> {
    try {
      await settled("closing the data folder", (done) => this.#storage.close(done));
    } finally {
      await this.#release();
    }
  }
}

function settled(attempt: string, start: (done: (error: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null ? resolve() : reject(asError(attempt, error))));
  });
}

function asRefusal(dir: string, error: unknown): Error {
  if (error instanceof Error) return error;
  const { message } = error as { readonly message: string };
  return new StorageRefusal(`the data folder ${dir} cannot be opened: ${message}`);
}

/** Refusals and bugs are errors already; what the disk says becomes one. */
function asError(attempt: string, error: unknown): Error {
  if (error instanceof Error) return error;
  const { message } = error as { readonly message: string };
  return new Error(`${attempt} failed: ${message}`);
}
