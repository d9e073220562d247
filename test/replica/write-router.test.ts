import { expect, test } from "vitest";
import { AppliedWaiters } from "../../src/replica/applied-waiters.ts";
import type { PeerNetwork, PeerRequest } from "../../src/replica/ports.ts";
import { Proposals } from "../../src/replica/proposals.ts";
import { WriteQueue, type WriteEnd } from "../../src/replica/write-queue.ts";
import { type Leadership, WriteRouter } from "../../src/replica/write-router.ts";
import type { Command } from "../../src/registry/commands.ts";
import { commandCodec } from "../../src/storage/command-codec.ts";
import { register } from "../support/commands.ts";

/** A router whose forwards are never answered. */
function routerOf(forwardsInflightMax: number) {
  const limits = {
    pendingWritesMax: 20,
    pendingBytesMax: 100_000,
    entryCommandsMax: 4,
    entryBytesMax: 10_000,
  };
  const queue = new WriteQueue(limits);
  const forwarded: string[][] = [];
  const proposed: string[][] = [];
  let leadership: Leadership = { leader: null, term: 1 };
  const kinds = (payload: Uint8Array): string[] =>
    commandCodec.decode(payload).envelopes.map(({ command }) => command.kind);
  const request = (_to: string, asked: PeerRequest): void => {
    if (asked.kind === "propose") forwarded.push(kinds(asked.payload));
  };
  const router = new WriteRouter({
    self: "n1",
    queue,
    proposals: new Proposals(),
    appliedIndex: new AppliedWaiters(0),
    codec: commandCodec,
    peers: { request } as unknown as PeerNetwork,
    scheduler: { after: () => {} } as never,
    forwardsInflightMax,
    retryDelayMs: 10,
    leadership: () => leadership,
    propose: (_context, payload) => proposed.push(kinds(payload)),
    nowMs: () => 0,
    wake: () => {},
  });
  const submit = (command: Command): WriteEnd[] => {
    const ends: WriteEnd[] = [];
    const envelope = { command, member: "n1", at: 0, idempotencyKey: null, by: null };
    const end = (given: WriteEnd): void => void ends.push(given);
    queue.add({ envelope, deadlineMs: 1000, startedMs: 0, awaitApplied: true, mayBeApplied: false, end });
    return ends;
  };
  const follow = (leader: string): void => {
    leadership = { leader, term: 2 };
    router.route();
  };
  return { submit, follow, forwarded, proposed };
}

test("beyond forwardsInflightMax unanswered batches, writes wait", () => {
  const { submit, follow, forwarded } = routerOf(1);
  for (let n = 0; n < 6; n += 1) submit(register(`a${n}`));
  follow("n2");
  expect(forwarded).toEqual([["register", "register", "register", "register"]]);
});
