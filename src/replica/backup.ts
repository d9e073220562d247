/**
 * A backup as a stream of bytes: the durable image of one moment, with what it takes to notice that a part is missing or was changed.
 * `storage/backup-file.ts` reads it.
 *
 * | Frame | Body |
 * |---|---|
 * | 1 header | JSON: format, cluster, member, position, version |
 * | 2 chunk | of the image, as snapshots have it, with its own checksum |
 * | 3 end | SHA-256 of all bytes before this frame |
 *
 * A frame is its body's length (u32, little-endian), its type (u8) and the body.
 */

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ImageSource } from "./ports.ts";

export const backupFormat = 1;
export const backupFrames = { header: 1, chunk: 2, end: 3 } as const;
export const frameHeaderBytes = 5;

export interface BackupHeader {
  readonly format: number;
  readonly clusterId: string;
  readonly member: string;
  /** Where in the log of that cluster the image stands. */
  readonly index: number;
  readonly term: number;
  /** Of the program that wrote it. */
  readonly version: string;
}

/** Throws when the image cannot be read to its end; closes the source in any case. */
export async function* backupBytes(source: ImageSource, header: BackupHeader): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  const hashed = (bytes: Uint8Array): Uint8Array => {
    hash.update(bytes);
    return bytes;
  };
  try {
    yield hashed(frame(backupFrames.header, Buffer.from(JSON.stringify(header))));
    for (let position = 0; ; position += 1) {
      const startedMs = performance.now();
      const chunk = await readChunk(source, position);
      if (chunk === null) break;
      yield hashed(frame(backupFrames.chunk, chunk));
      // Half of the time at most: a backup can wait, the requests beside it cannot.
      await sleep(performance.now() - startedMs);
    }
    yield frame(backupFrames.end, hash.digest());
  } finally {
    source.close();
  }
}

function readChunk(source: ImageSource, position: number): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    source.read(position, (failure, chunk) => {
      if (failure === null) resolve(chunk);
      else reject(new Error(failure.message));
    });
  });
}

function frame(type: number, body: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + body.length);
  bytes.writeUInt32LE(body.length, 0);
  bytes.writeUInt8(type, 4);
  bytes.set(body, frameHeaderBytes);
  return bytes;
}
