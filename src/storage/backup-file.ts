/** Reads a backup, and trusts nothing in it before all of it was verified. `replica/backup.ts` says what stands in it. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type BackupHeader, backupFormat, backupFrames, frameHeaderBytes } from "../replica/backup.ts";
import type { LogBase, StateRecord } from "../replica/ports.ts";
import { StorageRefusal } from "./refusal.ts";
import { sizeOf, type StateSize } from "./replayed-state.ts";
import { decodeChunk } from "./state/image-chunks.ts";
import { decodeValue, noTotals, plus, type Totals, verifiedSum } from "./state/record-codec.ts";

export interface Backup {
  readonly header: BackupHeader;
  readonly base: LogBase;
  readonly records: readonly StateRecord[];
  readonly size: StateSize;
}

/** Throws StorageRefusal when the file is not exactly what a member has sent. */
export async function readBackup(path: string): Promise<Backup> {
  const bytes = await readFile(path).catch((error: Error) => {
    throw new StorageRefusal(`the backup ${path} cannot be read: ${error.message}`);
  });
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof StorageRefusal) throw error;
    throw new StorageRefusal(
      `${path} is no backup, or it is damaged: ${(error as Error).message}. Use another copy of it`,
      { cause: error },
    );
  }
}

function parse(bytes: Buffer): Backup {
  const frames = framesOf(bytes);
  const [first, ...rest] = frames;
  const end = rest.pop();
  if (first?.type !== backupFrames.header) throw new Error("it does not begin as a backup does");
  const header = JSON.parse(Buffer.from(first.body).toString()) as BackupHeader;
  if (header.format > backupFormat) {
    throw new StorageRefusal(
      `the backup has format ${header.format}, and this version of Rollcall reads formats up to ${backupFormat}: use a newer version`,
    );
  }
  if (end?.type !== backupFrames.end) throw new Error("its end is missing");
  const digest = createHash("sha256").update(bytes.subarray(0, end.from)).digest();
  if (!digest.equals(end.body)) throw new Error("its checksum does not fit what it holds");
  const { base, records } = recordsOf(rest);
  return { header, base, records, size: sizeOf(records) };
}

interface Frame {
  readonly from: number;
  readonly type: number;
  readonly body: Buffer;
}

function framesOf(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  for (let from = 0; from < bytes.length;) {
    if (from + frameHeaderBytes > bytes.length) throw new Error("it is cut off");
    const to = from + frameHeaderBytes + bytes.readUInt32LE(from);
    if (to > bytes.length) throw new Error("it is cut off");
    frames.push({ from, type: bytes.readUInt8(from + 4), body: bytes.subarray(from + frameHeaderBytes, to) });
    from = to;
  }
  return frames;
}

function recordsOf(frames: readonly Frame[]): Pick<Backup, "base" | "records"> {
  const records: StateRecord[] = [];
  let totals: Totals = noTotals;
  let announced: Totals | null = null;
  let base: LogBase | null = null;
  for (const [position, { type, body }] of frames.entries()) {
    const chunk = type === backupFrames.chunk ? decodeChunk(body) : null;
    if (chunk === null || chunk.position !== position) throw new Error(`part ${position} is damaged`);
    base = chunk.base;
    announced = chunk.totals;
    for (const record of chunk.records) {
      const sum = verifiedSum(record);
      if (sum === null) throw new Error(`the record ${record[0]} is damaged`);
      totals = plus(totals, sum);
      records.push([record[0], decodeValue(record[1])]);
    }
  }
  if (base === null || announced?.count !== totals.count || announced.sum !== totals.sum)
    throw new Error("its records are not all there");
  return { base, records };
}
