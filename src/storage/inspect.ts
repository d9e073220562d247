/**
 * A data folder, or a backup, in words, for people: whose it is, what it promises, what its log and its image hold, and what of it is damaged.
 * Changes nothing, also where a start would repair. Meant for a member that does not run: of a running one it shows some moment of the past.
 */

import * as fs from "node:fs";
import { join } from "node:path";
import type { Entry } from "../raft/types.ts";
import type { Command } from "../registry/commands.ts";
import { readBackup } from "./backup-file.ts";
import { commandCodec } from "./command-codec.ts";
import { type FloorReading, readFloor } from "./floor.ts";
import { type IdentityReading, readIdentity } from "./identity.ts";
import { NodeDisk } from "./node-disk.ts";
import { decideRecovery, type FoundImage, type Recovery } from "./recovery.ts";
import { readImageCopy } from "./image-copy.ts";
import { replayedState } from "./replayed-state.ts";
import { StorageRefusal } from "./refusal.ts";
import type { ImageSearch } from "./state/find-image.ts";
import { segmentPath } from "./wal/contents.ts";
import { nameOf } from "./wal/log-shape.ts";
import { scanWal, type WalScan } from "./wal/scan.ts";

export interface InspectOptions {
  readonly dir: string;
  /** How many of the newest entries are listed. Default 100. */
  readonly entriesMax?: number;
}

const entriesMaxDefault = 100;

/** The lines to print. Throws StorageRefusal for a folder of a newer format, or of something else. */
export async function inspectFolder({
  dir,
  entriesMax = entriesMaxDefault,
}: InspectOptions): Promise<string[]> {
  if (!fs.existsSync(dir)) return [`${dir}: there is no such folder`];
  if (fs.readdirSync(dir).length === 0) return [`${dir}: empty; a member that starts here is a new one`];
  const disk = new NodeDisk(dir);
  const identity = readIdentity(disk);
  const floor = readFloor(disk);
  // In this order, as what comes later may only hold more: of a member that runs, a log that was read first would end before its image.
  const image = await readImageCopy(dir);
  const scan = scanWal(disk, floor.floor?.group ?? 0);
  if (identity.kind === "missing" && !floor.exists && scan.segments.length === 0 && image.found === null)
    throw new StorageRefusal(`${dir} is no member's data folder: no identity, log or image is in it`);
  return [
    ...identityLines(identity),
    ...floorLines(floor),
    ...logLines(scan),
    ...imageLines(dir, image),
    ...otherLines(dir),
    ...damageLines(identity, floor, scan, image),
    ...entryLines(scan.entries, entriesMax),
  ];
}

/** The lines to print. Throws StorageRefusal when the file is no whole backup. */
export async function inspectBackup(path: string): Promise<string[]> {
  const { header, base, records, size } = await readBackup(path);
  const { member, clusterId, version } = header;
  return [
    `backup of cluster ${clusterId}, by member ${member}, written by version ${version}`,
    `state: ${size.instances} instances at revision ${size.revision}, at ${nameOf(base.last)}, ${records.length} records`,
    "damage: none found",
  ];
}

function identityLines(reading: IdentityReading): string[] {
  if (reading.kind !== "read") return [`identity.json: ${reading.kind}`];
  const { memberId, clusterId, incarnation, promisedClusterId, formatVersion } = reading.identity;
  const cluster = clusterId === null ? "of no cluster yet" : `of cluster ${clusterId}`;
  const promise =
    clusterId === null && promisedClusterId !== null ? `, promised to cluster ${promisedClusterId}` : "";
  return [
    `member ${memberId} ${cluster}${promise}, incarnation ${incarnation}, folder format ${formatVersion}`,
  ];
}

function floorLines({ floor, exists }: FloorReading): string[] {
  if (floor === null) return [`floor: ${exists ? "cannot be read" : "missing"}`];
  const { hardState, group, end, generation, damage } = floor;
  return [
    `floor: generation ${generation}, ${voteInWords(hardState)}, log durable up to ${nameOf(end)} (group ${group})`,
    ...(damage === null ? [] : [`recovering: ${damage}`]),
  ];
}

function logLines(scan: WalScan): string[] {
  if (scan.shape === null) return ["log: none"];
  const { hardState, base, end } = scan.shape;
  const bytes = scan.segments.reduce((sum, segment) => sum + segment.fileBytes, 0);
  return [
    `hard state: ${voteInWords(hardState)}`,
    `log: after ${nameOf(base.last)} up to ${nameOf(end)}, ${scan.segments.length} segments, ${bytes} bytes`,
    ...scan.segments.map(
      ({ number, fileBytes, groups, indexBefore }) =>
        `  ${segmentPath(number)}: ${fileBytes} bytes, ${groups} groups, begins after index ${indexBefore}`,
    ),
    ...(scan.tail === null
      ? []
      : [`  ${segmentPath(scan.tail.segment)}: the last ${scan.tail.tornBytes} bytes are no whole group`]),
  ];
}

function imageLines(dir: string, { found }: ImageSearch): string[] {
  if (found === null) return ["state image: none"];
  const { meta, records } = found.image;
  const received = meta.isReceived ? ", received from another member" : "";
  const kinds = new Map<string, number>();
  for (const [key] of records) {
    const kind = key.split("/")[0] ?? key;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [
    `state image: state.${found.number} at ${nameOf(meta.base.last)}, ${meta.totals.count} records, ${bytesBelow(join(dir, `state.${found.number}`))} bytes${received}`,
    ...[...kinds].map(([kind, count]) => `  ${kind}: ${count}`),
  ];
}

/** What a start does not read: for people, or to be removed. */
function otherLines(dir: string): string[] {
  const half = fs.readdirSync(dir).filter((name) => name.endsWith(".tmp"));
  return [...half, "wal/damaged", "reserve"]
    .filter((name) => fs.existsSync(join(dir, name)))
    .map((name) => `also there: ${name}, ${bytesBelow(join(dir, name))} bytes`);
}

/** Of a file, or of all files in a folder. */
function bytesBelow(path: string): number {
  const about = fs.statSync(path, { throwIfNoEntry: false });
  if (about === undefined || !about.isDirectory()) return about?.size ?? 0;
  return fs.readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
}

function damageLines(
  identity: IdentityReading,
  floor: FloorReading,
  scan: WalScan,
  { found, damage }: ImageSearch,
): string[] {
  const isMember = identity.kind !== "read" || identity.identity.clusterId !== null;
  const isFounding = identity.kind === "read" && identity.identity.clusterId === null;
  const image = found?.image.meta ?? null;
  if (!isMember) return ["damage: none found"];
  const recovery = decideRecovery({ scan, floor, image, isFounding });
  const problems = [...recovery.damage, ...damage];
  const state = replayedState(recovery, { found, damage });
  return [
    ...(problems.length === 0 ? ["damage: none found"] : problems.map((problem) => `damage: ${problem}`)),
    startInWords(recovery, image),
    typeof state === "string"
      ? `with all of its log: ${state}`
      : `with all of its log: ${state.instances} instances at revision ${state.revision}`,
  ];
}

function startInWords({ recovering, base, entries, usesImage }: Recovery, image: FoundImage | null): string {
  const state = usesImage && image !== null ? `the image at ${nameOf(image.base.last)}` : "no state";
  const what = `${state} and ${entries.length} entries after ${nameOf(base.last)}`;
  if (recovering === null) return `a start: begins with ${what}`;
  return `a start: begins with ${what}, and has no vote until the others have given back what may be lost`;
}

function entryLines(entries: readonly Entry[], entriesMax: number): string[] {
  const shown = entries.slice(Math.max(0, entries.length - entriesMax));
  const left = entries.length - shown.length;
  return [
    `entries: ${entries.length}`,
    ...(left === 0 ? [] : [`  ... ${left} earlier ones`]),
    ...shown.map((entry) => `  ${nameOf(entry)} ${summaryOf(entry)}`),
  ];
}

function summaryOf(entry: Entry): string {
  switch (entry.kind) {
    case "command":
      return `command ${commandsInWords(entry.payload)}`;
    case "election":
      return `election, grace ${entry.graceMs} ms`;
    case "membership": {
      const { voters, outgoing, learners } = entry.membership;
      const parts = [`voters ${voters.join(" ")}`];
      if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(" ")}`);
      if (learners.length > 0) parts.push(`learners ${learners.join(" ")}`);
      return `membership ${parts.join(", ")}`;
    }
    case "clock":
      return `clock ${entry.clusterTime}`;
  }
}

function commandsInWords(payload: Uint8Array): string {
  try {
    return commandCodec
      .decode(payload)
      .envelopes.map(({ command }) => commandInWords(command))
      .join(", ");
  } catch (error) {
    return `of ${payload.length} bytes that cannot be decoded: ${String(error)}`;
  }
}

function commandInWords(command: Command): string {
  if ("id" in command) return `${command.kind} ${command.namespace}/${command.service}/${command.id}`;
  if (command.kind === "renew") return `renew ${command.handles.length} leases`;
  if (command.kind === "batch") return `batch of ${command.operations.length}`;
  return command.kind;
}

function voteInWords({ term, vote }: { readonly term: number; readonly vote: string | null }): string {
  return `term ${term}, ${vote === null ? "no vote" : `voted for ${vote}`}`;
}
