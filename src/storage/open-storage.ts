/**
 * Opens everything that a data folder holds, and says what was found. Runs on a real disk (`open-member.ts`) and on the simulator's.
 *
 * Reading comes first and changes nothing; then it is decided what the member starts with (`recovery.ts`); then the folder is brought into
 * that state. Interrupted at any step, the next start finds the same, or something better.
 */

import { assert, must } from "../raft/assert.ts";
import type { Membership } from "../raft/types.ts";
import type { Clock, LogStore, Recovered, Scheduler, StateStore, StorageFailure } from "../replica/ports.ts";
import type { Disk, DiskDone } from "./disk.ts";
import { type FloorReading, readFloor } from "./floor.ts";
import { type Identity, type IdentityReading, readIdentity, writeIdentity } from "./identity.ts";
import { emptyBase } from "./log-base.ts";
import { findOwner, type Ownership } from "./owner.ts";
import { decideRecovery, type Recovery } from "./recovery.ts";
import { findImage, type ImageSearch, type OpenImage, removeOthers, startEmpty } from "./state/find-image.ts";
import { imageOf } from "./state/image-reader.ts";
import { ImageStore } from "./state/image-store.ts";
import { StorageRefusal } from "./refusal.ts";
import type { RecordStores } from "./state/record-store.ts";
import type { Owner } from "./wal/contents.ts";
import { type LogEnvironment, openEmptyLog, openLog, removeLog } from "./wal/open-log.ts";
import { scanWal, type WalScan } from "./wal/scan.ts";
import type { WalLimits, WriteAheadLog } from "./wal/write-ahead-log.ts";

export interface StorageEnvironment {
  readonly disk: Disk;
  readonly stores: RecordStores;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly limits: WalLimits;
  readonly memberId: string;
  /** Becomes the member's incarnation when the folder is empty. */
  readonly newIncarnation: string;
}

/** What was found, for the log line of the start and for readiness. */
export interface StorageReport {
  readonly records: number;
  /** The position of the state image. */
  readonly appliedIndex: number;
  readonly lastIndex: number;
  /** In the log after its boundary. */
  readonly entries: number;
  readonly segments: number;
  readonly logBytes: number;
  /** Of an incomplete last group that was cut: written, but never acknowledged. */
  readonly tornBytes: number;
  /** What could not be read, in sentences: found at this start, whether or not the member is recovering for it. */
  readonly damage: readonly string[];
  /** Why this member is recovering; null when its memory is whole. */
  readonly recovering: string | null;
  /** Whether `identity.json` was lost and has been restored. */
  readonly identityRestored: boolean;
}

/** The stores of a member that belongs to a cluster. */
export interface MemberStores {
  readonly log: LogStore;
  readonly state: StateStore;
  readonly recovered: Recovered;
}

/** `error` is a StorageRefusal where the folder must not be opened, and a DiskError or a StorageFailure where it cannot be. */
export type OpenStorageDone = (error: unknown, storage: Storage | null) => void;

export function openStorage(environment: StorageEnvironment, done: OpenStorageDone): void {
  let reading: (() => LogReading) | null = null;
  const readOnce = (): LogReading => (reading ??= attempt(() => readLog(environment.disk)))();
  openWith(environment, readOnce, done);
  // The log is read while the state image is being opened.
  reading ??= attempt(() => readLog(environment.disk));
}

/** Does it now; the result, or what was thrown, is there whenever it is asked for. */
function attempt<Result>(work: () => Result): () => Result {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

interface LogReading {
  readonly identity: IdentityReading;
  readonly floor: FloorReading;
  readonly scan: WalScan;
}

function readLog(disk: Disk): LogReading {
  const identity = readIdentity(disk);
  const floor = readFloor(disk);
  return { identity, floor, scan: scanWal(disk, floor.floor?.group ?? 0) };
}

function openWith(environment: StorageEnvironment, logOf: () => LogReading, done: OpenStorageDone): void {
  findImage(environment.stores, (error, search) => {
    if (search === null) return done(error, null);
    const end: OpenStorageDone = (endError, storage) => {
      // Whoever cannot open the folder leaves nothing open in it.
      if (storage === null && search.found !== null) search.found.store.close(() => done(endError, null));
      else done(endError, storage);
    };
    try {
      readAndOpen(environment, logOf(), search, end);
    } catch (thrown) {
      end(unreadable(thrown), null);
    }
  });
}

/** A disk that cannot read what it holds is no disk to start on: nobody knows what else it will not give back. */
function unreadable(thrown: unknown): unknown {
  const { code, message } = thrown as { readonly code?: unknown; readonly message?: unknown };
  if (thrown instanceof StorageRefusal || typeof code !== "string") return thrown;
  return new StorageRefusal(
    `a file of the data folder cannot be read (${String(message)}): look at the permissions and the disk; if the disk is broken, replace it, and then this member with "rollcall member replace"`,
    { cause: thrown },
  );
}

interface Reading {
  readonly search: ImageSearch;
  readonly floor: FloorReading;
  readonly scan: WalScan;
  readonly ownership: Ownership;
  /** The folder was interrupted while it came to belong to its cluster. */
  readonly isFounding: boolean;
}

function readAndOpen(
  environment: StorageEnvironment,
  { identity, floor, scan }: LogReading,
  search: ImageSearch,
  done: OpenStorageDone,
): void {
  const { disk, memberId, newIncarnation, stores } = environment;
  const ownership = findOwner({
    memberId,
    identity,
    newIncarnation,
    others: [
      { file: "wal", owner: scan.owner },
      { file: "floor", owner: floor.floor?.owner ?? null },
      { file: "the state image", owner: search.found?.image.meta.owner ?? null },
    ],
    isEmpty: scan.files.length === 0 && !floor.exists && stores.list().length === 0,
  });
  const isFounding = identity.kind === "read" && identity.identity.clusterId === null;
  const reading = { search, floor, scan, ownership, isFounding };
  const open = ownership.identity.clusterId === null ? openEmpty : openMember;
  open(environment, reading, (error, storage) => {
    if (storage === null || !ownership.isNews) return done(error, storage);
    // Last, because it is what ends an interrupted founding: until then all that is missing was never promised.
    writeIdentity(disk, ownership.identity, (identityError) =>
      done(identityError, identityError === null ? storage : null),
    );
  });
}

/** The folder belongs to no cluster yet. */
function openEmpty(environment: StorageEnvironment, reading: Reading, done: OpenStorageDone): void {
  const { scan, ownership } = reading;
  removeLog(environment.disk, scan.files, (error) => {
    if (error !== null) return done(error, null);
    done(null, new Storage(environment, ownership.identity, emptyReport, null));
  });
}

function openMember(environment: StorageEnvironment, reading: Reading, done: OpenStorageDone): void {
  const { search, scan, floor, isFounding } = reading;
  const meta = search.found?.image.meta ?? null;
  const recovery = decideRecovery({ scan, floor, image: meta, isFounding });
  const { identity } = reading.ownership;
  const owner = ownerOf(identity, must(identity.clusterId, "a member belongs to a cluster"));
  openLog({ ...environment, owner }, { scan, floor }, recovery, (logError, log) => {
    if (log === null) return done(logError, null);
    openState(environment, owner, recovery.usesImage ? search.found : null, (stateError, state) => {
      if (state === null) return done(stateError, null);
      const report = reportOf(reading, recovery);
      const stores = { log, state, recovered: recoveredFrom(recovery, search) };
      done(null, new Storage(environment, reading.ownership.identity, report, stores));
    });
  });
}

/** Opens the store of the image that is used, or an empty one, and removes all others. */
function openState(
  { stores, scheduler }: StorageEnvironment,
  owner: Owner,
  used: OpenImage | null,
  done: (failure: StorageFailure | null, state: ImageStore | null) => void,
): void {
  const soon = soonOf(scheduler);
  const open = (store: Omit<OpenImage, "image">, image: OpenImage["image"] | null): void => {
    removeOthers(stores, store.number, (failure) => {
      if (failure !== null) return done(failure, null);
      done(null, new ImageStore({ stores, owner, store: store.store, number: store.number, image, soon }));
    });
  };
  if (used !== null) return open(used, used.image);
  startEmpty(stores, (failure, store) => (store === null ? done(failure, null) : open(store, null)));
}

/** A function of its own, because a closure keeps what any closure of its scope uses: made in `openState`, all that the start has read. */
function soonOf(scheduler: Scheduler): (task: () => void) => void {
  return (task) => scheduler.soon(task);
}

function recoveredFrom(recovery: Recovery, search: ImageSearch): Recovered {
  const { hardState, base, entries, usesImage, recovering } = recovery;
  const found = usesImage ? must(search.found, "the image that is used was found").image : null;
  const image = imageOf(found);
  const appliedIndex = image.base.last.index;
  return { boot: { hardState, base, entries, appliedIndex, recovering: recovering !== null }, image };
}

function ownerOf({ memberId, incarnation }: Identity, clusterId: string): Owner {
  return { clusterId, memberId, incarnation };
}

const emptyReport: StorageReport = {
  records: 0,
  appliedIndex: 0,
  lastIndex: 0,
  entries: 0,
  segments: 0,
  logBytes: 0,
  tornBytes: 0,
  damage: [],
  recovering: null,
  identityRestored: false,
};

function reportOf({ scan, search, ownership }: Reading, recovery: Recovery): StorageReport {
  const image = recovery.usesImage ? (search.found?.image ?? null) : null;
  return {
    records: image?.meta.totals.count ?? 0,
    appliedIndex: image?.meta.base.last.index ?? 0,
    lastIndex: recovery.entries.at(-1)?.index ?? recovery.base.last.index,
    entries: recovery.entries.length,
    segments: scan.segments.length,
    logBytes: scan.segments.reduce((sum, segment) => sum + segment.bytes, 0),
    tornBytes: scan.tail?.tornBytes ?? 0,
    damage: [...recovery.damage, ...search.damage],
    recovering: recovery.recovering,
    identityRestored: ownership.isRestored,
  };
}

/** An open data folder. */
export class Storage {
  readonly report: StorageReport;
  readonly #environment: StorageEnvironment;
  #identity: Identity;
  #stores: (MemberStores & { readonly log: WriteAheadLog; readonly state: ImageStore }) | null;

  constructor(
    environment: StorageEnvironment,
    identity: Identity,
    report: StorageReport,
    stores: (MemberStores & { readonly log: WriteAheadLog; readonly state: ImageStore }) | null,
  ) {
    this.#environment = environment;
    this.#identity = identity;
    this.report = report;
    this.#stores = stores;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** Null until the member belongs to a cluster. */
  get stores(): MemberStores | null {
    return this.#stores;
  }

  /** Lets go of what the start has read, once the member has taken it. */
  forgetRecovered(): void {
    if (this.#stores === null) return;
    const { boot, image } = this.#stores.recovered;
    const recovered = { boot: { ...boot, entries: [] }, image: { ...image, records: [], packedRecords: [] } };
    this.#stores = { ...this.#stores, recovered };
  }

  /** Before it belongs to a cluster: promises, durably, to belong to this one. */
  savePromise(clusterId: string, done: DiskDone): void {
    assert(this.#identity.clusterId === null, "a member of a cluster promises nothing more");
    this.#saveIdentity({ ...this.#identity, promisedClusterId: clusterId }, done);
  }

  /**
   * Makes this member one of the cluster, with the founding entry as the first of its log, or for null with an empty log. What ends it is
   * the cluster id in `identity.json`: interrupted before, the next start completes it or finds an empty folder.
   */
  join(clusterId: string, founding: Membership | null, done: (error: unknown) => void): void {
    assert(this.#identity.clusterId === null, "a member joins one cluster, once");
    const owner = ownerOf(this.#identity, clusterId);
    const environment: LogEnvironment = { ...this.#environment, owner };
    openEmptyLog(environment, (logError, log) => {
      if (log === null) return done(logError);
      found(log, founding, (foundError) => {
        if (foundError !== null) return done(foundError);
        this.#saveIdentity({ ...this.#identity, clusterId }, (identityError) => {
          if (identityError !== null) return done(identityError);
          this.#openJoined(owner, log, founding, done);
        });
      });
    });
  }

  close(done: (error: unknown) => void): void {
    const stores = this.#stores;
    if (stores === null) return done(null);
    stores.log.close((logError) => stores.state.close((stateError) => done(logError ?? stateError)));
  }

  #saveIdentity(identity: Identity, done: DiskDone): void {
    writeIdentity(this.#environment.disk, identity, (error) => {
      if (error === null) this.#identity = identity;
      done(error);
    });
  }

  #openJoined(
    owner: Owner,
    log: WriteAheadLog,
    founding: Membership | null,
    done: (error: unknown) => void,
  ): void {
    openState(this.#environment, owner, null, (failure, state) => {
      if (state === null) return done(failure);
      const boot = { ...foundingWrite(founding), base: emptyBase, appliedIndex: 0, recovering: false };
      this.#stores = { log, state, recovered: { boot, image: imageOf(null) } };
      done(null);
    });
  }
}

function found(log: WriteAheadLog, founding: Membership | null, done: DiskDone): void {
  log.persist({ ...foundingWrite(founding), truncateAfter: null }, (failure) => {
    done(failure === null ? null : { code: failure.kind, message: failure.message });
  });
}

/** The same on every founding member: the first entry, of the first term. */
function foundingWrite(membership: Membership | null): Pick<Recovered["boot"], "hardState" | "entries"> {
  if (membership === null) return { hardState: { term: 0, vote: null }, entries: [] };
  const entry = { kind: "membership", term: 1, index: 1, clusterTime: 0, membership } as const;
  return { hardState: { term: 1, vote: null }, entries: [entry] };
}
