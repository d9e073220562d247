import { commandVersion, type Envelope } from "../registry/commands.ts";
import type { Clock, CommandCodec } from "./ports.ts";
import type { Proposals } from "./proposals.ts";
import type { RaftDriver } from "./raft-driver.ts";

interface Proposer {
  readonly options: { readonly ports: { readonly clock: Clock; readonly codec: CommandCodec } };
  readonly proposals: Proposals;
  readonly driver: RaftDriver;
}

/**
 * Proposes what a leader has to say by itself: past the queue of clients' writes, and whatever waits to be committed. Only from within a turn.
 * Ends when the entry is applied here, refused, or not decided in `waitMs`.
 */
export function proposeOwn(
  { options, proposals, driver }: Proposer,
  envelope: Envelope,
  waitMs: number,
  end: (isApplied: boolean) => void,
): void {
  const { clock, codec } = options.ports;
  const batch = { version: commandVersion, envelopes: [envelope] };
  const ctx = proposals.open({
    batch,
    deadlineMs: clock.monotonicMs() + waitMs,
    end: ({ kind }) => end(kind === "committed"),
  });
  driver.step({ kind: "propose", ctx, payload: codec.encode(batch), ifTerm: null, priority: "own" });
}
