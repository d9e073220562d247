/**
 * Brings the files of the log into the state that recovery has decided on, and opens them for writing.
 *
 * The order is what makes it safe to be interrupted: a member that is found damaged first says so in its floor, and only then touches the
 * log, so that no later start can take it for whole. Damaged segments are set aside, for people, until the member is whole again.
 */

import { must } from "../../raft/assert.ts";
import { entryBytes } from "../../raft/entry.ts";
import type { Entry, HardState } from "../../raft/types.ts";
import type { Clock, Scheduler, StorageFailure } from "../../replica/ports.ts";
import type { Disk, DiskDone, DiskError, DiskFile } from "../disk.ts";
import { type DiskStep, inOrder, withFile } from "../disk-steps.ts";
import { type Floor, type FloorFile, type FloorReading, openFloor } from "../floor.ts";
import { emptyBase } from "../log-base.ts";
import { isLater, type Recovery } from "../recovery.ts";
import { type Owner, segmentPath } from "./contents.ts";
import { shapeAt } from "./log-shape.ts";
import { chainStart } from "./record.ts";
import type { Tail, WalScan } from "./scan.ts";
import { type WalLimits, type WalStart, WriteAheadLog } from "./write-ahead-log.ts";

const damagedFolder = "wal/damaged";

/** How much of a rewritten log goes into one write. */
const rewriteBytes = 4 * 1024 * 1024;

export interface LogEnvironment {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly limits: WalLimits;
  readonly owner: Owner;
}

export type OpenLogDone = (error: DiskError | null, log: WriteAheadLog | null) => void;

/** Opens the log of a member that belongs to a cluster. */
export function openLog(
  environment: LogEnvironment,
  found: { readonly scan: WalScan; readonly floor: FloorReading },
  recovery: Recovery,
  done: OpenLogDone,
): void {
  const { disk } = environment;
  prepare(environment, found.floor, (error, floorFile) => {
    if (floorFile === null) return done(error, null);
    const isFloorNews = recovery.damage.length > 0 || found.floor.floor === null;
    const floor = floorAt(environment.owner, found.scan, recovery);
    const steps: DiskStep[] = [];
    if (isFloorNews) steps.push((next) => floorFile.writeBoth(floor, next));
    if (recovery.recovering === null) steps.push((next) => emptyFolder(disk, damagedFolder, next));
    inOrder(steps, (stepError) => {
      if (stepError !== null) return done(stepError, null);
      if (recovery.log === "rewrite") rewriteLog(environment, found.scan, floorFile, recovery, done);
      else keepLog(environment, found.scan, floorFile, recovery, done);
    });
  });
}

/** Opens the log of a member that has just come to belong to a cluster: nothing is in it, and nothing on disk before the first write. */
export function openEmptyLog(environment: LogEnvironment, done: OpenLogDone): void {
  prepare(environment, { floor: null, exists: false }, (error, floor) => {
    if (floor === null) return done(error, null);
    const log = new WriteAheadLog({
      ...environment,
      floor,
      damage: null,
      shape: shapeAt(emptyBase, emptyBase.last, { term: 0, vote: null }),
      group: 0,
      chain: chainStart,
      segments: [],
      file: null,
      nextSegment: 1,
    });
    done(null, log);
  });
}

/**
 * Removes what an interrupted founding has left: nothing of it was ever told to anybody. The sync is also for `identity.json`: a process that
 * was killed before its own sync may have left a promise there that this one repeats.
 */
export function removeLog(disk: Disk, files: readonly number[], done: DiskDone): void {
  const removals = files.map(
    (number): DiskStep =>
      (next) =>
        disk.remove(segmentPath(number), next),
  );
  const syncs: DiskStep[] = files.length === 0 ? [] : [(next) => disk.syncFolder("wal", next)];
  const floor: DiskStep[] = [(next) => disk.remove("floor", next), (next) => disk.syncFolder("", next)];
  inOrder([...removals, ...syncs, ...floor], done);
}

function prepare(
  { disk }: LogEnvironment,
  floor: FloorReading,
  done: (error: DiskError | null, floor: FloorFile | null) => void,
): void {
  inOrder([(next) => disk.makeFolder("wal", next), (next) => disk.syncFolder("", next)], (error) => {
    if (error !== null) return done(error, null);
    openFloor(disk, floor.floor?.generation ?? 0, done);
  });
}

function floorAt(owner: Owner, scan: WalScan, recovery: Recovery): Floor {
  const end = scan.shape?.end ?? emptyBase.last;
  const { hardState, recovering } = recovery;
  return { owner, hardState, group: scan.lastGroup, chain: scan.chain, end, damage: recovering };
}

function keepLog(
  environment: LogEnvironment,
  scan: WalScan,
  floor: FloorFile,
  recovery: Recovery,
  done: OpenLogDone,
): void {
  const { disk } = environment;
  const { tail } = scan;
  const shape = must(scan.shape, "a log that is kept was read");
  const last = must(scan.segments.at(-1), "a log that is kept has a segment");
  const openAndCut = (then: (error: DiskError | null, file: DiskFile | null) => void): void => {
    inOrder(tail === null ? [] : [(next) => cutTail(disk, tail, next)], (error) => {
      if (error !== null) then(error, null);
      else openSynced(disk, segmentPath(last.number), then);
    });
  };
  openAndCut((error, file) => {
    if (file === null) return done(error, null);
    const log = new WriteAheadLog({
      ...environment,
      floor,
      damage: recovery.recovering,
      shape,
      group: scan.lastGroup,
      chain: scan.chain,
      segments: scan.segments,
      file,
      nextSegment: last.number + 1,
    });
    const steps: DiskStep[] = [];
    // A repair was interrupted after the floor had said what was promised, and before the log did.
    if (isLater(recovery.hardState, shape.hardState)) steps.push((next) => persist(log, recovery, [], next));
    if (recovery.log === "reset")
      steps.push((next) => log.reset(recovery.base, false, (failure) => next(errorOf(failure))));
    inOrder(steps, (stepError) => done(stepError, stepError === null ? log : null));
  });
}

function persist(
  log: WriteAheadLog,
  { hardState }: { readonly hardState: HardState | null },
  entries: readonly Entry[],
  done: DiskDone,
): void {
  log.persist({ hardState, truncateAfter: null, entries }, (failure) => done(errorOf(failure)));
}

function errorOf(failure: StorageFailure | null): DiskError | null {
  return failure === null ? null : { code: failure.kind, message: failure.message };
}

/**
 * A process that was killed between a write and its sync leaves bytes that can be read, and would not survive a power loss: what was
 * found counts as durable only after this.
 */
function openSynced(
  disk: Disk,
  path: string,
  done: (error: DiskError | null, file: DiskFile | null) => void,
): void {
  disk.open(path, (openError, file) => {
    if (file === null) return done(openError, null);
    inOrder([(next) => file.sync(next), (next) => disk.syncFolder("wal", next)], (error) =>
      done(error, error === null ? file : null),
    );
  });
}

function cutTail(disk: Disk, tail: Tail, done: DiskDone): void {
  const path = segmentPath(tail.segment);
  if (tail.keepBytes === 0)
    return inOrder([(next) => disk.remove(path, next), (next) => disk.syncFolder("wal", next)], done);
  withFile(
    disk,
    path,
    (file, cut) => inOrder([(next) => file.truncate(tail.keepBytes, next), (next) => file.sync(next)], cut),
    done,
  );
}

/** Writes what is left of the log into new segments, and then sets the old ones aside. */
function rewriteLog(
  environment: LogEnvironment,
  scan: WalScan,
  floor: FloorFile,
  recovery: Recovery,
  done: OpenLogDone,
): void {
  const { disk } = environment;
  const { base, hardState } = recovery;
  const start: WalStart = {
    ...environment,
    floor,
    damage: recovery.recovering,
    shape: shapeAt(base, base.last, hardState),
    // One is left out, so that the new segment never looks like a continuation of the old ones.
    group: scan.lastGroup + 1,
    chain: chainStart,
    segments: [],
    file: null,
    nextSegment: (scan.files.at(-1) ?? 0) + 1,
  };
  const log = new WriteAheadLog(start);
  const writes = slices(recovery.entries).map(
    (entries, i): DiskStep =>
      (next) =>
        persist(log, { hardState: i === 0 ? hardState : null }, entries, next),
  );
  inOrder([...writes, (next) => setAside(disk, scan.files, next)], (error) =>
    done(error, error === null ? log : null),
  );
}

/** Parts of a bounded size; one, empty, for no entries. */
function slices(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const parts: Entry[][] = [[]];
  let bytes = 0;
  for (const entry of entries) {
    if (bytes >= rewriteBytes) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(entry);
    bytes += entryBytes(entry);
  }
  return parts;
}

/** Only the newest damage is kept. */
function setAside(disk: Disk, files: readonly number[], done: DiskDone): void {
  const moves = files.map((number): DiskStep => {
    const path = segmentPath(number);
    return (next) => disk.rename(path, path.replace("wal/", `${damagedFolder}/`), next);
  });
  const prepareFolder: DiskStep[] = [
    (next) => disk.makeFolder(damagedFolder, next),
    (next) => emptyFolder(disk, damagedFolder, next),
  ];
  const syncs: DiskStep[] = [
    (next) => disk.syncFolder(damagedFolder, next),
    (next) => disk.syncFolder("wal", next),
  ];
  inOrder([...prepareFolder, ...moves, ...syncs], done);
}

function emptyFolder(disk: Disk, folder: string, done: DiskDone): void {
  const names = disk.list(folder);
  inOrder(
    names.map((name) => (next) => disk.remove(`${folder}/${name}`, next)),
    done,
  );
}
