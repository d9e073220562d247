/** Batches of commands as the bytes of a log entry. */

import { batchToArray, readBatchOf } from "../registry/command-codec.ts";
import type { CommandCodec } from "../replica/ports.ts";
import { encode } from "./msgpack.ts";
import { packedFields } from "./packed.ts";

export const commandCodec: CommandCodec = {
  // Copied, because an entry lives long and the encoder's buffer is shared.
  encode: (batch) => encode(batchToArray(batch)).slice(),
  decode: (payload) => readBatchOf(() => packedFields(payload, "batch")),
};
