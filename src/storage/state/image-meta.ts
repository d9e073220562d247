/** The record that says what all the others stand for, written in the same batch as they. */

import { MalformedError, readFields } from "../../registry/fields.ts";
import type { LogBase } from "../../replica/ports.ts";
import { baseFromArray, baseToArray } from "../log-base.ts";
import { StorageRefusal } from "../refusal.ts";
import type { Owner } from "../wal/contents.ts";
import { decodeValue, encodeRecord, type Totals, verifiedSum } from "./record-codec.ts";

/** No key of the state machine begins with this, and it sorts before all of them. */
export const metaKey = "!meta";

const imageFormat = 1;

export interface ImageMeta {
  readonly owner: Owner;
  /** The position that the records stand for. */
  readonly base: LogBase;
  /** Of all records but this one. */
  readonly totals: Totals;
  /** Counts up from batch to batch, so that it shows whether a batch whose writing failed is there all the same. */
  readonly batch: number;
  /** Received from another member, and not written since: the log may still begin earlier, or end earlier. */
  readonly isReceived: boolean;
}

export function encodeMeta(meta: ImageMeta): Uint8Array {
  const { owner, totals } = meta;
  return encodeRecord(metaKey, [
    imageFormat,
    owner.clusterId,
    owner.memberId,
    owner.incarnation,
    baseToArray(meta.base),
    totals.count,
    totals.sum,
    meta.batch,
    meta.isReceived,
  ]).bytes;
}

/** Null when the bytes are not what was written. Throws StorageRefusal for a newer format. */
export function decodeMeta(bytes: Uint8Array): ImageMeta | null {
  if (verifiedSum([metaKey, bytes]) === null) return null;
  const value = decodeValue(bytes);
  const format: unknown = Array.isArray(value) ? value[0] : null;
  if (typeof format === "number" && format > imageFormat) {
    throw new StorageRefusal(
      `the state image has format ${format}, and this version of Rollcall reads formats up to ${imageFormat}: start a newer version`,
    );
  }
  try {
    return readFields(value, "image meta", (fields) => {
      fields.integer();
      return {
        owner: { clusterId: fields.text(), memberId: fields.text(), incarnation: fields.text() },
        base: baseFromArray(fields.any()),
        totals: { count: fields.integer(), sum: fields.integer() },
        batch: fields.integer(),
        isReceived: fields.boolean(),
      };
    });
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}
