/** Turns the records of one group, and before them a new segment's header if one begins, into the bytes of one write. */

import {
  encodeGroupHeader,
  encodeLogRecord,
  encodeSegmentHeader,
  type GroupHeader,
  type LogRecord,
  recordTypes,
  type SegmentHeader,
} from "./contents.ts";
import { recordHeaderBytes, writeRecord } from "./record.ts";

export interface EncodedGroup {
  readonly bytes: Uint8Array;
  /** The checksum of the last record, which the next one repeats. */
  readonly chain: number;
}

export interface GroupContents {
  /** Of the last record before. */
  readonly chain: number;
  /** When the group begins a segment. */
  readonly segment: SegmentHeader | null;
  readonly header: Omit<GroupHeader, "bytes">;
  /** At least one. */
  readonly records: readonly LogRecord[];
}

export function encodeGroup({ chain, segment, header, records }: GroupContents): EncodedGroup {
  const bodies = records.map(encodeLogRecord);
  const bytes = bodies.reduce((sum, [, body]) => sum + recordHeaderBytes + body.length, 0);
  const framed: (readonly [type: number, body: Uint8Array])[] = [
    ...(segment === null ? [] : [[recordTypes.segment, encodeSegmentHeader(segment)] as const]),
    [recordTypes.group, encodeGroupHeader({ ...header, bytes })],
    ...bodies,
  ];
  const total = framed.reduce((sum, [, body]) => sum + recordHeaderBytes + body.length, 0);
  const target = Buffer.allocUnsafe(total);
  let position = 0;
  let sum = chain;
  for (const [type, body] of framed) {
    sum = writeRecord(target, position, { type, chain: sum, body });
    position += recordHeaderBytes + body.length;
  }
  return { bytes: target, chain: sum };
}
