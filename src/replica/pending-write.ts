/** A write that a client waits for: how it may end, what may be said of that, and how it ranks among others. */

import { RollcallError } from "../lib/errors.ts";
import type { CommandResult, Envelope } from "../registry/commands.ts";
import { commandInWords } from "./command-words.ts";

/** How a write ended: with the state machine's result, or with an error whose outcome says whether it may yet take effect. */
export type WriteEnd =
  | { readonly kind: "result"; readonly result: CommandResult }
  | { readonly kind: "error"; readonly error: RollcallError };

export interface PendingWrite {
  readonly envelope: Envelope;
  /** On the driver's monotonic clock. */
  readonly deadlineMs: number;
  readonly startedMs: number;
  /** Whether to answer only when this member's own state machine holds the change, so that its client reads its own writes. */
  readonly awaitApplied: boolean;
  /** An earlier attempt may have taken effect: from then on no answer may say that the write was not applied. */
  readonly mayBeApplied: boolean;
  /** Called exactly once. */
  readonly end: (end: WriteEnd) => void;
}

/** Ends a write that this attempt has not applied; the answer also depends on the attempts before it. */
export function endUnapplied(write: PendingWrite, error: RollcallError): void {
  write.end({ kind: "error", error: write.mayBeApplied ? unknownOutcome(write, error.message) : error });
}

export function unknownOutcome(write: PendingWrite, why: string): RollcallError {
  const detail = `the ${commandInWords(write.envelope.command)} may yet take effect: ${why}. Ask again with the same Idempotency-Key, or read`;
  return new RollcallError("commit_timeout", detail, { outcome: "unknown" });
}

/** What keeps leases alive, and what makes room. */
export function isUrgent({ command: { kind } }: Envelope): boolean {
  return kind === "renew" || kind === "renewOne" || kind === "deregister";
}

/** Both parts in the order of the whole. */
export function byUrgency(writes: readonly PendingWrite[]): {
  readonly urgent: readonly PendingWrite[];
  readonly ordinary: readonly PendingWrite[];
} {
  const urgent = writes.filter(({ envelope }) => isUrgent(envelope));
  const ordinary = writes.filter(({ envelope }) => !isUrgent(envelope));
  return { urgent, ordinary };
}
