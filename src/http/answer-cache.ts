/**
 * Encoded answers to discovery, one for each query, valid for one revision of the service: asking again while nothing changed costs no
 * encoding. Bounded by bytes; what was not used for longest goes first.
 */

import { createHash } from "node:crypto";

export interface EncodedAnswer {
  readonly bytes: Uint8Array;
  /** A strong validator: equal exactly when the bytes are. */
  readonly etag: string;
}

export const answerCacheBytesMax = 32 * 1024 * 1024;

/** What an entry costs beside its bytes, roughly: the key, the tag and the map's own room. */
const entryOverheadBytes = 512;

interface Entry extends EncodedAnswer {
  readonly revision: number;
  readonly cost: number;
}

export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = answerCacheBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** The answer to `query` at `revision`, encoded now unless it is here. */
  answer(query: string, revision: number, encode: () => string): EncodedAnswer {
    const known = this.#entries.get(query);
    if (known !== undefined) this.#drop(query, known);
    const entry = known?.revision === revision ? known : newEntry(query, revision, encode());
    this.#keep(query, entry);
    return entry;
  }

  #keep(query: string, entry: Entry): void {
    if (entry.cost > this.#bytesMax) return;
    this.#entries.set(query, entry);
    this.#bytes += entry.cost;
    for (const [oldest, { cost }] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#entries.delete(oldest);
      this.#bytes -= cost;
    }
  }

  #drop(query: string, entry: Entry): void {
    this.#entries.delete(query);
    this.#bytes -= entry.cost;
  }
}

function newEntry(query: string, revision: number, body: string): Entry {
  const bytes = Buffer.from(body);
  // The revision alone would not do: another cluster at the same address may come to the same number.
  const digest = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  return {
    bytes,
    etag: `"${revision}-${digest}"`,
    revision,
    cost: bytes.length + 2 * query.length + entryOverheadBytes,
  };
}
