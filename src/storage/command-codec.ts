/** Batches of commands as the bytes of a log entry. */

import { batchToArray, readBatchOf } from "../registry/command-codec.ts";
import type { CommandCodec } from "../replica/ports.ts";
import { encode } from "./msgpack.ts";
import { packedFields } from "./packed.ts";
import { Slabs } from "./wal/slabs.ts";

const slabs = new Slabs();

export const commandCodec: CommandCodec = {
  // Copied, because an entry lives long, and the encoder's buffer (1 MiB, once an image has been sent) holds whatever else was encoded then.
  encode: (batch) => slabs.copyOf(encode(batchToArray(batch))),
  decode: (payload) => readBatchOf(() => packedFields(payload, "batch")),
};
