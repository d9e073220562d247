/**
 * How much a command weighs before it is encoded: enough to bound queues and entries, never exact.
 */

import type { Command } from "../registry/commands.ts";
import type { Declaration } from "../registry/model.ts";

/** What any command costs besides its strings: names, numbers, framing. */
const baseBytes = 128;
const handleBytes = 6;

/** Estimated bytes of the command in a log entry. */
export function commandBytes(command: Command): number {
  switch (command.kind) {
    case "register":
      return baseBytes + declarationBytes(command.declared);
    case "renew":
      return baseBytes + command.handles.length * handleBytes;
    case "patch":
      return baseBytes + patchBytes(command.changes);
    case "batch":
      return command.operations.reduce((sum, operation) => sum + commandBytes(operation), baseBytes);
    case "presence":
      return baseBytes * (1 + command.instances.length);
    case "setOverride":
      return 2 * baseBytes + stringsBytes(command.layer?.tags ?? []);
    case "renewOne":
    case "deregister":
    case "expire":
    case "setSettings":
      return baseBytes;
  }
}

/** How many commands it counts as when an entry is filled. */
export function commandCount(command: Command): number {
  return command.kind === "batch" ? command.operations.length : 1;
}

/** Whether it adds to what the registry must keep. Everything else still works when storage is full. */
export function isGrowth(command: Command): boolean {
  if (command.kind === "batch") return command.operations.some(isGrowth);
  return command.kind === "register" || command.kind === "patch" || command.kind === "setOverride";
}

function declarationBytes(declared: Declaration): number {
  const metadata = declared.metadata.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return declared.host.length + stringsBytes(declared.tags) + metadata;
}

function patchBytes(changes: Extract<Command, { kind: "patch" }>["changes"]): number {
  const metadata = (changes.metadata ?? []).reduce(
    (sum, [key, value]) => sum + key.length + (value?.length ?? 0),
    0,
  );
  return stringsBytes(changes.tags ?? []) + metadata;
}

function stringsBytes(strings: readonly string[]): number {
  return strings.reduce((sum, each) => sum + each.length, 0);
}
