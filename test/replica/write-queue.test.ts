import { expect, test } from "vitest";
import type { Command } from "../../src/registry/commands.ts";
import type { PendingWrite, WriteEnd } from "../../src/replica/pending-write.ts";
import { WriteQueue } from "../../src/replica/write-queue.ts";
import { deregister, register, renewOne } from "../support/commands.ts";

const limits = { pendingWritesMax: 20, pendingBytesMax: 100_000, entryCommandsMax: 4, entryBytesMax: 10_000 };

function write(
  command: Command,
  options: { deadlineMs?: number; mayBeApplied?: boolean } = {},
): PendingWrite & { ends: WriteEnd[] } {
  const ends: WriteEnd[] = [];
  const envelope = { command, member: "n1", at: 0, idempotencyKey: null, by: null };
  const { deadlineMs = 1000, mayBeApplied = false } = options;
  return {
    envelope,
    deadlineMs,
    startedMs: 0,
    awaitApplied: true,
    mayBeApplied,
    end: (end) => ends.push(end),
    ends,
  };
}

const kinds = (batch: readonly PendingWrite[]): string[] => batch.map((each) => each.envelope.command.kind);

test("renewals and deregistrations leave the queue before registrations", () => {
  const queue = new WriteQueue(limits);
  for (const command of [register("a"), deregister("b"), register("c"), renewOne("d")])
    queue.add(write(command));
  expect(kinds(queue.takeBatch(0))).toEqual(["deregister", "renewOne", "register", "register"]);
  expect(queue.takeBatch(0)).toEqual([]);
});

test("a batch ends at entryCommandsMax commands", () => {
  const queue = new WriteQueue(limits);
  for (let n = 0; n < 6; n += 1) queue.add(write(register(`a${n}`)));
  expect(queue.takeBatch(0)).toHaveLength(4);
  expect(queue.takeBatch(0)).toHaveLength(2);
});

test("a batch ends at entryBytesMax, but a single larger command still goes", () => {
  const queue = new WriteQueue(limits);
  const large = register("large", { tags: Array.from({ length: 64 }, () => "x".repeat(200)) });
  queue.add(write(register("a")));
  queue.add(write(large));
  queue.add(write(register("b")));
  expect(queue.takeBatch(0)).toHaveLength(1);
  expect(queue.takeBatch(0)).toHaveLength(1);
  expect(queue.takeBatch(0)).toHaveLength(1);
});

test("beyond pendingWritesMax a write is refused as overloaded; the last tenth is kept for urgent ones", () => {
  const queue = new WriteQueue(limits);
  for (let n = 0; n < 18; n += 1) queue.add(write(register(`a${n}`)));
  const refused = write(register("too many"));
  queue.add(refused);
  expect(refused.ends).toMatchObject([
    { kind: "error", error: { code: "overloaded", outcome: "not_applied", retryAfterMs: 1000 } },
  ]);
  const urgent = write(deregister("a1"));
  queue.add(urgent);
  expect(urgent.ends).toEqual([]);
  expect(queue.length).toBe(19);
});

test("beyond pendingBytesMax a write is refused as overloaded", () => {
  const queue = new WriteQueue({ ...limits, pendingBytesMax: 300 });
  queue.add(write(register("a")));
  queue.add(write(register("b")));
  const refused = write(register("c"));
  queue.add(refused);
  expect(refused.ends).toMatchObject([{ kind: "error", error: { code: "overloaded" } }]);
});

test.each([
  { leaderKnown: false, mayBeApplied: false, code: "no_leader", outcome: "not_applied" },
  { leaderKnown: true, mayBeApplied: false, code: "unavailable", outcome: "not_applied" },
  { leaderKnown: true, mayBeApplied: true, code: "commit_timeout", outcome: "unknown" },
  { leaderKnown: false, mayBeApplied: true, code: "commit_timeout", outcome: "unknown" },
])(
  "a write that outlives its time (leader known: $leaderKnown, tried before: $mayBeApplied) ends as $code",
  ({ leaderKnown, mayBeApplied, code, outcome }) => {
    const queue = new WriteQueue(limits);
    const waiting = write(register("a"), { deadlineMs: 500, mayBeApplied });
    queue.add(waiting);
    queue.expire(499, leaderKnown);
    expect(waiting.ends).toEqual([]);
    queue.expire(500, leaderKnown);
    expect(waiting.ends).toMatchObject([{ kind: "error", error: { code, outcome } }]);
    expect(queue.length).toBe(0);
  },
);

test("a write that waited in vain is told in a client's words, not by the name of its command", () => {
  const queue = new WriteQueue(limits);
  const late = write(renewOne("a"));
  queue.add(late);
  queue.expire(1500, false);
  expect(late.ends).toMatchObject([
    { error: { message: expect.stringMatching(/^the renewal waited 1500 ms/) } },
  ]);
});

test("what was put back goes first", () => {
  const queue = new WriteQueue(limits);
  queue.add(write(register("first")));
  const taken = queue.takeBatch(0);
  queue.add(write(register("second")));
  queue.putBack(taken);
  expect(queue.takeBatch(0)[0]?.envelope.command).toMatchObject({ id: "first" });
});

test("a write keeps its place, also while it is proposed or put back, until it ends", () => {
  const queue = new WriteQueue({ ...limits, pendingWritesMax: 2 });
  queue.add(write(deregister("a")));
  queue.add(write(deregister("b")));
  const taken = queue.takeBatch(0);
  const refused = write(deregister("c"));
  queue.add(refused);
  expect(refused.ends).toMatchObject([{ kind: "error", error: { code: "overloaded" } }]);
  queue.putBack(taken);
  for (const each of queue.takeBatch(0))
    each.end({ kind: "result", result: { ok: true, kind: "deregister", revision: 1 } });
  const next = write(deregister("d"));
  queue.add(next);
  expect(next.ends).toEqual([]);
});

test("a queue that closes ends everything in it as unavailable", () => {
  const queue = new WriteQueue(limits);
  const waiting = write(register("a"));
  queue.add(waiting);
  queue.close("this member is stopping");
  expect(waiting.ends).toMatchObject([
    { kind: "error", error: { code: "unavailable", outcome: "not_applied" } },
  ]);
});
