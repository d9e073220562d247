/** About how much memory a result takes: what bounds the results that are kept. It is part of the state machine, so it must be alike on all members. */

import type { CommandResult } from "./commands.ts";
import type { Instance } from "./model.ts";

/** Objects, numbers and references, whatever the result says. */
const plainBytes = 64;
const instanceBytes = 384;
/** A string beside its characters. */
const textBytes = 24;
/** A number or a boolean in a list. */
const itemBytes = 8;

export function resultBytes(result: CommandResult): number {
  if (!result.ok) return plainBytes + result.detail.length;
  switch (result.kind) {
    case "register":
    case "renewOne":
    case "patch":
    case "setOverride":
      return plainBytes + bytesOf(result.instance);
    case "batch":
      return result.results.reduce((sum, each) => sum + resultBytes(each), plainBytes);
    case "renew":
      return plainBytes + itemBytes * result.ttlsMs.length;
    case "presence":
      return plainBytes + itemBytes * result.attached.length;
    case "deregister":
    case "expire":
    case "setSettings":
      return plainBytes;
  }
}

function bytesOf({ id, declared, override }: Instance): number {
  let bytes = instanceBytes + id.length + declared.host.length;
  for (const tag of declared.tags) bytes += textBytes + tag.length;
  for (const tag of override?.tags ?? []) bytes += textBytes + tag.length;
  for (const [key, value] of declared.metadata) bytes += 2 * textBytes + key.length + value.length;
  return bytes;
}
