import { expect, test } from "vitest";
import { AppliedWaiters } from "../../src/replica/applied-waiters.ts";
import type { PeerNetwork, PeerReply, PeerRequest } from "../../src/replica/ports.ts";
import { Proposals } from "../../src/replica/proposals.ts";
import { WriteQueue } from "../../src/replica/write-queue.ts";
import { WriteRouter } from "../../src/replica/write-router.ts";
import { commandVersion, type Command, type CommandBatch } from "../../src/registry/commands.ts";
import { commandCodec } from "../../src/storage/command-codec.ts";
import { deregister, register, renewOne } from "../support/commands.ts";

const retryDelayMs = 10;

/** A router of n1. A forward to the leader ends when the test answers it. */
function routerOf({ leader = "n2", forwardsInflightMax = 8 }) {
  const limits = {
    pendingWritesMax: 20,
    pendingBytesMax: 100_000,
    entryCommandsMax: 4,
    entryBytesMax: 10_000,
  };
  const queue = new WriteQueue(limits);
  const answers: ((reply: PeerReply) => void)[] = [];
  let forwarded: string[][] = [];
  let proposed: { kinds: string[]; isUrgent: boolean }[] = [];
  let nowMs = 0;
  const kindsIn = (payload: Uint8Array): string[] =>
    commandCodec.decode(payload).envelopes.map(({ command }) => command.kind);
  const request: PeerNetwork["request"] = (_to, asked, _timeoutMs, done) => {
    if (asked.kind === "propose") forwarded.push(kindsIn(asked.payload));
    answers.push((reply) => done({ kind: "reply", reply }));
  };
  const router = new WriteRouter({
    self: "n1",
    queue,
    proposals: new Proposals(),
    appliedIndex: new AppliedWaiters(1_000),
    codec: commandCodec,
    peers: { request } as unknown as PeerNetwork,
    scheduler: { after: () => {} } as never,
    forwardsInflightMax,
    retryDelayMs,
    leadership: () => ({ leader, term: 2 }),
    propose: (_context, { payload, isUrgent }) => proposed.push({ kinds: kindsIn(payload), isUrgent }),
    nowMs: () => nowMs,
    wake: () => {},
  });
  const submit = (command: Command): void => {
    const write = { envelope: envelopeOf(command), deadlineMs: 1_000, startedMs: 0, awaitApplied: true };
    queue.add({ ...write, mayBeApplied: false, end: () => {} });
  };
  /** The batches that go to the leader in a turn after the pause. */
  const forwardedInTurn = (): readonly string[][] => {
    nowMs += retryDelayMs;
    forwarded = [];
    router.route();
    return forwarded;
  };
  const proposedInTurn = (): typeof proposed => {
    proposed = [];
    router.route();
    return proposed;
  };
  const fromFollower = (request: Extract<PeerRequest, { kind: "propose" }>): typeof proposed => {
    proposed = [];
    router.proposeForwarded(request, () => {});
    return proposed;
  };
  return { submit, forwardedInTurn, proposedInTurn, fromFollower, answers };
}

function envelopeOf(command: Command): CommandBatch["envelopes"][number] {
  return { command, member: "n1", at: 0, idempotencyKey: null, by: null };
}

const refusal: PeerReply = { kind: "rejected", reason: "overloaded", leader: "n2" };

test("beyond forwardsInflightMax unanswered batches, writes wait", () => {
  const { submit, forwardedInTurn } = routerOf({ forwardsInflightMax: 1 });
  for (let n = 0; n < 6; n += 1) submit(register(`a${n}`));
  expect(forwardedInTurn()).toEqual([["register", "register", "register", "register"]]);
});

test("after a refusal for want of room what is urgent goes in a batch of its own, until an ordinary write is committed", () => {
  // And the other batch with it, though one place is all there is.
  const { submit, forwardedInTurn, answers } = routerOf({ forwardsInflightMax: 1 });
  for (const command of [register("a"), deregister("b")]) submit(command);
  expect(forwardedInTurn()).toEqual([["deregister", "register"]]);

  answers[0]!(refusal);
  expect(forwardedInTurn()).toEqual([["deregister"], ["register"]]);
  const deregistered = { ok: true, kind: "deregister", revision: 1 } as const;
  answers[1]!({ kind: "committed", term: 2, index: 1, results: [deregistered] });
  answers[2]!(refusal);
  submit(renewOne("c"));
  expect(forwardedInTurn()).toEqual([["renewOne"], ["register"]]);

  answers[3]!(refusal);
  answers[4]!({ kind: "committed", term: 2, index: 2, results: [deregistered] });
  submit(register("d"));
  expect(forwardedInTurn()).toEqual([["renewOne", "register"]]);
});

test.each([
  { commands: [renewOne("a"), deregister("b")], isUrgent: true },
  { commands: [renewOne("a"), register("b")], isUrgent: false },
])("a batch is urgent where all of it is, whoever took it: $isUrgent", ({ commands, isUrgent }) => {
  const { submit, proposedInTurn, fromFollower } = routerOf({ leader: "n1" });
  const proposal = { kinds: commands.map(({ kind }) => kind), isUrgent };
  for (const command of commands) submit(command);
  expect(proposedInTurn()).toEqual([proposal]);
  const payload = commandCodec.encode({ version: commandVersion, envelopes: commands.map(envelopeOf) });
  expect(fromFollower({ kind: "propose", term: 2, budgetMs: 1_000, payload })).toEqual([proposal]);
});
