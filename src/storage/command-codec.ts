/** Batches of commands as the bytes of a log entry. */

import { batchFromArray, batchToArray } from "../registry/command-codec.ts";
import type { CommandCodec } from "../replica/ports.ts";
import { decode, encode } from "./msgpack.ts";

export const commandCodec: CommandCodec = {
  // Copied, because an entry lives long and the encoder's buffer is shared.
  encode: (batch) => encode(batchToArray(batch)).slice(),
  decode: (payload) => batchFromArray(decode(payload)),
};
