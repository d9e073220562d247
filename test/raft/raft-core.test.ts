/** What the core does beyond the paper, where a single member's answer is enough to see it. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { InvariantViolation } from "../../src/raft/assert.ts";
import { defaultRaftConfig, validateRaftConfig } from "../../src/raft/config.ts";
import { entryBytes } from "../../src/raft/entry.ts";
import type { RaftConfig } from "../../src/raft/config.ts";
import { checkInvariants } from "../../src/raft/invariants.ts";
import type { Effect, Input, MembershipChange } from "../../src/raft/io.ts";
import type { Message } from "../../src/raft/messages.ts";
import { RaftCore } from "../../src/raft/raft-core.ts";
import type { Entry, MembershipEntry, NodeId } from "../../src/raft/types.ts";
import {
  emptyBase,
  incarnationOf,
  membershipOf,
  RaftNetwork,
  testConfig,
  text,
} from "../support/raft-network.ts";

function newCluster(config: Partial<RaftConfig>, ...ids: NodeId[]): RaftNetwork {
  const network = new RaftNetwork({ config, afterStep: ({ core }) => checkInvariants(core) });
  network.bootstrap(ids);
  network.elect("n1");
  return network;
}

/** From the leader of term 2, whose log equals ours up to its first entry. */
const emptyAppend: Message = {
  from: "n2",
  to: "n1",
  term: 2,
  type: "append",
  previous: { term: 1, index: 1 },
  entries: [],
  commit: 0,
};

/** A bare core of a cluster of three, and the effects of inputs to it. */
function newCore(
  options: {
    readonly incarnation?: string;
    readonly entries?: readonly Entry[];
    readonly recovering?: boolean;
  } = {},
): {
  readonly core: RaftCore;
  readonly take: (input: Input) => Effect[];
} {
  const first: Entry = {
    kind: "membership",
    term: 1,
    index: 1,
    clusterTime: 0,
    membership: membershipOf(["n1", "n2", "n3"]),
  };
  const core = new RaftCore({
    id: "n1",
    incarnation: options.incarnation ?? incarnationOf("n1"),
    config: testConfig,
    boot: {
      hardState: { term: 1, vote: null },
      base: emptyBase,
      entries: options.entries ?? [first],
      appliedIndex: 0,
      recovering: options.recovering ?? false,
    },
    random: () => 0,
  });
  const take = (input: Input): Effect[] => {
    core.step(input);
    return core.takeEffects();
  };
  return { core, take };
}

function propose(network: RaftNetwork, payload: string, ifTerm: number | null = null): Effect | undefined {
  return answersOf(network, "n1", {
    kind: "propose",
    nowMs: network.nowMs,
    ctx: 1,
    payload: text(payload),
    ifTerm,
  })[0];
}

function change(network: RaftNetwork, id: NodeId, membershipChange: MembershipChange): Effect | undefined {
  return answersOf(network, id, {
    kind: "changeMembership",
    nowMs: network.nowMs,
    ctx: 1,
    change: membershipChange,
  })[0];
}

/** Steps the core alone and puts back what the network needs. */
function answersOf(network: RaftNetwork, id: NodeId, input: Input): Effect[] {
  const answers: Effect[] = [];
  const isAnswer = (effect: Effect): boolean => "ctx" in effect;
  const { core } = network.member(id);
  const takeEffects = core.takeEffects.bind(core);
  core.takeEffects = () => {
    const effects = takeEffects();
    answers.push(...effects.filter(isAnswer));
    return effects;
  };
  network.step(id, input);
  core.takeEffects = takeEffects;
  return answers;
}

// ------------------------------------------------------------------ proposals

test("a proposal is answered with its place in the log, before anything can be applied", () => {
  const network = newCluster({}, "n1");
  expect(propose(network, "a")).toEqual({ kind: "proposalAppended", ctx: 1, entry: { term: 2, index: 3 } });
});

test("a proposal for another term is refused: whoever forwarded it meant another leader", () => {
  const network = newCluster({}, "n1");
  expect(propose(network, "a", 1)).toMatchObject({ kind: "proposalRejected", reason: "termChanged" });
  expect(propose(network, "a", 2)).toMatchObject({ kind: "proposalAppended" });
});

test("a follower takes no proposals", () => {
  const { take } = newCore();
  expect(take({ kind: "propose", nowMs: 0, ctx: 5, payload: text("a"), ifTerm: null })).toEqual([
    { kind: "proposalRejected", ctx: 5, reason: "notLeader" },
  ]);
});

test("proposals beyond the limit of uncommitted bytes are refused until others commit; a single one always passes", () => {
  const bytes = entryBytes({
    kind: "command",
    term: 1,
    index: 1,
    clusterTime: 0,
    payload: text("0123456789"),
  });
  const network = newCluster({ uncommittedBytesMax: 2 * bytes }, "n1");
  expect(propose(network, "x".repeat(1000))).toMatchObject({ kind: "proposalAppended" });
  expect(propose(network, "0123456789")).toMatchObject({ reason: "overloaded" });
  network.settle();
  for (let round = 0; round < 3; round += 1) {
    expect(propose(network, "0123456789")).toMatchObject({ kind: "proposalAppended" });
    expect(propose(network, "0123456789")).toMatchObject({ kind: "proposalAppended" });
    expect(propose(network, "0123456789")).toMatchObject({ reason: "overloaded" });
    network.settle();
  }
});

test("the last tenth of the limit of uncommitted bytes is kept for what is urgent", () => {
  const network = newCluster({ uncommittedBytesMax: 1000 }, "n1");
  const input = { kind: "propose", nowMs: network.nowMs, ctx: 1, ifTerm: null } as const;
  const small = { ...input, payload: text("x".repeat(20)) };
  expect(propose(network, "x".repeat(850))).toMatchObject({ kind: "proposalAppended" });
  expect(answersOf(network, "n1", small)).toMatchObject([{ reason: "overloaded" }]);
  const urgent = { ...small, priority: "urgent" } as const;
  expect(answersOf(network, "n1", urgent)).toMatchObject([{ kind: "proposalAppended" }]);
  const tooLarge = { ...urgent, payload: text("x".repeat(70)) };
  expect(answersOf(network, "n1", tooLarge)).toMatchObject([{ reason: "overloaded" }]);
});

test("what a leader proposes of its own is taken whatever waits to be committed, and counts all the same", () => {
  const network = newCluster({ uncommittedBytesMax: 1000 }, "n1");
  const own = { kind: "propose", nowMs: network.nowMs, ctx: 1, payload: text("due"), ifTerm: null } as const;
  expect(propose(network, "x".repeat(1000))).toMatchObject({ kind: "proposalAppended" });
  expect(answersOf(network, "n1", own)).toMatchObject([{ reason: "overloaded" }]);
  expect(answersOf(network, "n1", { ...own, priority: "own" })).toMatchObject([{ kind: "proposalAppended" }]);
  network.settle();
  expect(propose(network, "x".repeat(1000))).toMatchObject({ kind: "proposalAppended" });
});

test("what is proposed in one turn is one write and one message to each follower", () => {
  const { take, core } = newCore({
    entries: [
      { kind: "membership", term: 1, index: 1, clusterTime: 0, membership: membershipOf(["n1"], ["n2"]) },
    ],
  });
  take({ kind: "tick", nowMs: 0, leasesExist: false });
  take({ kind: "stored", nowMs: 0, seq: 1 });
  take({ kind: "stored", nowMs: 0, seq: 2 });
  const reply = {
    from: "n2",
    to: "n1",
    term: 2,
    type: "appendReply",
    previousIndex: 1,
    accepted: true,
    index: 2,
    hintTerm: 0,
    recovering: false,
  } as const;
  take({ kind: "message", nowMs: 0, message: reply });
  for (let ctx = 0; ctx < 5; ctx += 1)
    core.step({ kind: "propose", nowMs: 0, ctx, payload: text(`p${ctx}`), ifTerm: null });
  const effects = core.takeEffects();
  expect(effects.filter(({ kind }) => kind === "persist")).toMatchObject([{ entries: { length: 5 } }]);
  expect(effects.filter(({ kind }) => kind === "send")).toMatchObject([
    { message: { type: "append", entries: { length: 5 } }, afterSeq: 0 },
  ]);
});

// ------------------------------------------------------------------ identity

test("a voter that came back with another incarnation neither votes nor campaigns: it has forgotten its promises", () => {
  const { core, take } = newCore({ incarnation: "wiped" });
  for (let i = 0; i < 50; i += 1) take({ kind: "tick", nowMs: 0, leasesExist: false });
  expect(core.status.role).toBe("follower");
  const message: Message = {
    from: "n2",
    to: "n1",
    term: 2,
    type: "vote",
    last: { term: 1, index: 1 },
    transfer: false,
  };
  expect(take({ kind: "message", nowMs: 0, message })).toContainEqual(
    expect.objectContaining({ kind: "send", message: expect.objectContaining({ granted: false }) }),
  );
});

test("a member that knows of no membership does not vote", () => {
  const { take } = newCore({ entries: [] });
  const message: Message = {
    from: "n2",
    to: "n1",
    term: 2,
    type: "vote",
    last: { term: 1, index: 1 },
    transfer: false,
  };
  expect(take({ kind: "message", nowMs: 0, message })).toContainEqual(
    expect.objectContaining({ kind: "send", message: expect.objectContaining({ granted: false }) }),
  );
});

test("a lost member's id cannot be taken by its successor before it is removed", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  const successor: MembershipChange = {
    kind: "addLearner",
    id: "n3",
    incarnation: "new",
    peerUrl: "",
    clientUrl: "",
  };
  expect(change(network, "n1", successor)).toMatchObject({ reason: "invalidChange" });
  expect(change(network, "n1", { kind: "remove", id: "n3" })).toMatchObject({ kind: "proposalAppended" });
  network.settle();
  expect(change(network, "n1", successor)).toMatchObject({ kind: "proposalAppended" });
});

// ------------------------------------------------------------------ leadership

test("a target of a transfer that lacks entries does not obey", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  network.deliver({ from: "n1", to: "n2", term: 2, type: "timeoutNow", last: { term: 2, index: 9 } });
  expect(network.core("n2").status).toMatchObject({ role: "follower", term: 2 });
});

test("a transfer is not undone by its own success, and is told of when it fails", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  network.step("n1", { kind: "transfer", nowMs: 0, to: "n3" });
  expect(network.core("n1").status.transferringTo).toBe("n3");
  network.settle();
  expect(network.leader?.id).toBe("n3");
});

test("a disk that failed ends every promise: no vote, no acknowledgement, no write", () => {
  const { core, take } = newCore();
  take({ kind: "storageFailed", nowMs: 0 });
  const head = { from: "n2", to: "n1", term: 2 } as const;
  const vote: Message = { ...head, type: "vote", last: { term: 1, index: 1 }, transfer: false };
  const append: Message = {
    ...head,
    type: "append",
    previous: { term: 1, index: 1 },
    entries: [],
    commit: 1,
  };
  expect(take({ kind: "message", nowMs: 0, message: vote })).toEqual([]);
  expect(take({ kind: "message", nowMs: 0, message: append })).toEqual([]);
  for (let i = 0; i < 50; i += 1) expect(take({ kind: "tick", nowMs: 0, leasesExist: false })).toEqual([]);
  expect(core.status).toMatchObject({ storageFailed: true, term: 1, vote: null, commitIndex: 0 });
});

// ------------------------------------------------------------------ staleness

test("nothing is known of staleness before a leader is heard of", () => {
  expect(newCore().core.staleness(1000)).toBe(2_147_483_647);
});

test("staleness is the age of the newest applied heartbeat and of the proof that it carries", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  const age = (id: NodeId): number => network.core(id).staleness(network.nowMs);
  network.nowMs = 1000;
  network.tick("n1");
  network.tick("n1");
  network.nowMs = 1030;
  network.settle();
  // The round was sent at 1000 and answered at 1030.
  expect(age("n1")).toBe(30);
  network.tick("n1");
  network.tick("n1");
  network.nowMs = 1050;
  network.settle();
  // This round left at 1030, when the newest proof was 30 ms old; it arrived at 1050.
  expect(age("n2")).toBe(30);
  network.nowMs = 1100;
  expect(age("n2")).toBe(80);
});

test("a leader that has committed nothing in its term proves nothing with its rounds", () => {
  const { take } = newCore();
  const answer = (message: Message): Effect[] => take({ kind: "message", nowMs: 0, message });
  for (let i = 0; i < 10; i += 1) take({ kind: "tick", nowMs: 0, leasesExist: false });
  answer({ from: "n2", to: "n1", term: 2, type: "preVoteReply", granted: true });
  take({ kind: "stored", nowMs: 0, seq: 1 });
  answer({ from: "n2", to: "n1", term: 2, type: "voteReply", granted: true });
  answer({
    from: "n2",
    to: "n1",
    term: 2,
    type: "heartbeatReply",
    round: 1,
    appliedIndex: 0,
    recovering: false,
  });
  take({ kind: "tick", nowMs: 50, leasesExist: false });
  const beats = take({ kind: "tick", nowMs: 100, leasesExist: false });
  const unproven = expect.objectContaining({ type: "heartbeat", round: 2, leaderAgeMs: 2_147_483_647 });
  expect(beats).toContainEqual({ kind: "send", message: unproven, afterSeq: 0 });
});

test("a heartbeat about entries that are not applied yet says nothing about our state", () => {
  const { core, take } = newCore();
  const message: Message = {
    from: "n2",
    to: "n1",
    term: 2,
    type: "heartbeat",
    commit: 0,
    leaderCommit: 1,
    leaderAgeMs: 10,
    round: 1,
    recoveryIndex: 0,
  };
  take({ kind: "message", nowMs: 90, message: emptyAppend });
  take({ kind: "message", nowMs: 100, message });
  expect(core.staleness(100)).toBe(2_147_483_647);
  take({ kind: "message", nowMs: 150, message: { ...message, commit: 1, round: 2 } });
  take({ kind: "applied", index: 1 });
  expect(core.staleness(200)).toBe(60);
});

test("a member that is committed more than it holds knows that its disk has lost something, and counts no more", () => {
  const { core, take } = newCore();
  const from = { from: "n2", to: "n1", term: 2 } as const;
  const times = { nowMs: 100 } as const;
  const last = { term: 9, index: 9 };
  const beat: Message = {
    ...from,
    type: "heartbeat",
    commit: 3,
    leaderCommit: 3,
    leaderAgeMs: 0,
    round: 1,
    recoveryIndex: 0,
  };
  const effects = take({ kind: "message", ...times, message: beat });
  const event = { kind: "memoryLost", acknowledgedIndex: 3, lastIndex: 1 };
  expect(effects).toContainEqual({ kind: "event", event });
  expect(effects.find((effect) => effect.kind === "send")).toMatchObject({
    message: { type: "heartbeatReply", recovering: true },
  });
  expect(core.status).toMatchObject({ recovering: true, commitIndex: 0 });
  const vote: Message = { from: "n3", to: "n1", term: 9, type: "vote", last, transfer: true };
  const answers = take({ kind: "message", nowMs: 200, message: vote });
  expect(answers.filter((effect) => effect.kind === "event" && effect.event.kind === "votedFor")).toEqual([]);
});

test("a heartbeat commits only what was compared with its leader's log", () => {
  const { core, take } = newCore();
  const from = { from: "n2", to: "n1", term: 2 } as const;
  const beat: Message = {
    ...from,
    type: "heartbeat",
    commit: 1,
    leaderCommit: 1,
    leaderAgeMs: 0,
    round: 1,
    recoveryIndex: 0,
  };
  take({ kind: "message", nowMs: 100, message: beat });
  expect(core.status.commitIndex).toBe(0);
  const previous = { term: 1, index: 1 };
  take({
    kind: "message",
    nowMs: 110,
    message: { ...from, type: "append", previous, entries: [], commit: 0 },
  });
  take({ kind: "message", nowMs: 120, message: { ...beat, round: 2 } });
  expect(core.status.commitIndex).toBe(1);
});

test("a heartbeat that a paused process finds in its socket is as old as the pause", () => {
  const { core, take } = newCore();
  const heartbeat = {
    from: "n2",
    to: "n1",
    term: 2,
    type: "heartbeat",
    commit: 1,
    leaderCommit: 1,
    leaderAgeMs: 10,
    round: 1,
    recoveryIndex: 0,
  } as const;
  take({ kind: "message", nowMs: 2000, message: emptyAppend });
  take({ kind: "message", nowMs: 8000, unreadSinceMs: 3000, message: heartbeat });
  take({ kind: "applied", index: 1 });
  expect(core.staleness(8000)).toBe(5010);
});

// ------------------------------------------------------------------ late and forgotten things

test("a leader takes no acknowledgement from an earlier term, not even of its own", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  network.step("n1", { kind: "propose", nowMs: 0, ctx: 1, payload: text("a"), ifTerm: null });
  network.store("n1");
  network.takeInFlight();
  const reply = {
    from: "n2",
    to: "n1",
    type: "appendReply",
    previousIndex: 2,
    accepted: true,
    index: 3,
    hintTerm: 0,
    recovering: false,
  } as const;
  network.deliver({ ...reply, term: 1 });
  expect(network.core("n1").status.commitIndex).toBe(2);
  network.deliver({ ...reply, term: 2 });
  expect(network.core("n1").status.commitIndex).toBe(3);
});

test("a membership that a new leader puts in the place of another, at the same index, is told", () => {
  const membershipAt = (term: number, ...voters: NodeId[]): MembershipEntry => ({
    kind: "membership",
    term,
    index: 2,
    clusterTime: 0,
    membership: membershipOf(voters),
  });
  const first = { ...membershipAt(1, "n1", "n2", "n3"), index: 1 };
  const { core, take } = newCore({ entries: [first, membershipAt(1, "n1", "n2")] });
  const append: Message = {
    from: "n3",
    to: "n1",
    term: 2,
    type: "append",
    previous: { term: 1, index: 1 },
    entries: [membershipAt(2, "n1", "n3")],
    commit: 0,
  };
  const effects = take({ kind: "message", nowMs: 0, message: append });
  const told = effects.flatMap((effect) => (effect.kind === "event" ? [effect.event] : []));
  const { membership } = membershipAt(2, "n1", "n3");
  expect(told).toContainEqual({ kind: "membershipChanged", membership, at: { term: 2, index: 2 } });
  expect(core.membershipId).toEqual({ term: 2, index: 2 });
});

test("a member that lost its memory commits nothing that it has not compared with its leader since", () => {
  const first: Entry = {
    kind: "membership",
    term: 1,
    index: 1,
    clusterTime: 0,
    membership: membershipOf(["n1", "n2", "n3"]),
  };
  // Rot brought back an entry that had been cut off.
  const stale: Entry = { kind: "command", term: 1, index: 2, clusterTime: 0, payload: text("cut off") };
  const { core, take } = newCore({ entries: [first, stale], recovering: true });
  const heartbeat: Message = {
    from: "n2",
    to: "n1",
    term: 2,
    type: "heartbeat",
    commit: 2,
    leaderCommit: 2,
    leaderAgeMs: 0,
    round: 1,
    recoveryIndex: 0,
  };
  take({ kind: "message", nowMs: 0, message: heartbeat });
  expect(core.status.commitIndex).toBe(0);
});

test("what only the leader and a member without memory hold is not committed, and ends no recovery", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  network.crash("n3");
  network.loseMemory("n3", 1);
  network.restart("n3");
  network.crash("n2");
  for (let i = 0; i < 9; i += 1) {
    network.tickAll();
    network.settle();
  }
  expect(network.core("n1").status).toMatchObject({ role: "leader", commitIndex: 2 });
  expect(network.core("n3").status).toMatchObject({ lastIndex: 3, recovering: true });
});

test("a late reply from before the loss does not make a member count again", () => {
  const network = newCluster({}, "n1", "n2", "n3");
  const reply = {
    from: "n3",
    to: "n1",
    term: 2,
    previousIndex: 2,
    accepted: true,
    hintTerm: 0,
    type: "appendReply",
  } as const;
  network.deliver({ ...reply, index: 1, recovering: true });
  const peer = (): unknown => network.core("n1").status.peers.find(({ id }) => id === "n3");
  expect(peer()).toMatchObject({ recovering: true, matchIndex: 0 });
  network.deliver({ ...reply, index: 2, recovering: false });
  expect(peer()).toMatchObject({ recovering: true });
  // An entry that was appended after the return can only be acknowledged after the return.
  network.deliver({ ...reply, index: 3, recovering: false });
  expect(peer()).toMatchObject({ recovering: false, matchIndex: 3 });
});

// ------------------------------------------------------------------ contract

test("whatever the network brings, the core neither throws nor loses an invariant", () => {
  const id = fc.constantFrom("n1", "n2", "n3", "stranger");
  const small = fc.nat(6);
  const entryId = fc.record({ term: small, index: small });
  const entry: fc.Arbitrary<Entry> = fc.record({
    kind: fc.constant("command"),
    term: fc.integer({ min: 1, max: 6 }),
    index: fc.integer({ min: 1, max: 6 }),
    clusterTime: small,
    payload: fc.constant(text("x")),
  });
  const head = { from: id, to: fc.constant("n1"), term: small };
  const boolean = fc.boolean();
  const message: fc.Arbitrary<Message> = fc.oneof(
    fc.record({ type: fc.constant("preVote"), ...head, last: entryId }),
    fc.record({ type: fc.constant("preVoteReply"), ...head, granted: boolean }),
    fc.record({ type: fc.constant("vote"), ...head, last: entryId, transfer: boolean }),
    fc.record({ type: fc.constant("voteReply"), ...head, granted: boolean }),
    fc.record({
      type: fc.constant("append"),
      ...head,
      previous: entryId,
      entries: fc.array(entry, { maxLength: 3 }),
      commit: small,
    }),
    fc.record({
      type: fc.constant("appendReply"),
      ...head,
      previousIndex: small,
      accepted: boolean,
      index: small,
      hintTerm: small,
      recovering: boolean,
    }),
    fc.record({
      type: fc.constant("heartbeat"),
      ...head,
      commit: small,
      leaderCommit: small,
      leaderAgeMs: small,
      round: small,
      recoveryIndex: small,
    }),
    fc.record({
      type: fc.constant("heartbeatReply"),
      ...head,
      round: small,
      appliedIndex: small,
      recovering: boolean,
    }),
    fc.record({ type: fc.constant("timeoutNow"), ...head, last: entryId }),
    fc.record({ type: fc.constant("readIndex"), ...head, id: fc.constant("r") }),
    fc.record({
      type: fc.constant("readIndexReply"),
      ...head,
      id: fc.constant("r"),
      index: fc.option(small),
    }),
    fc.record({ type: fc.constant("removed"), ...head, membershipIndex: small }),
  );
  const item = fc.oneof(message, fc.constant("tick" as const), fc.constant("store" as const));
  const survives = fc.property(fc.array(item, { maxLength: 60 }), (script) =>
    runScript(newCore().core, script),
  );
  expect(() => fc.assert(survives, { numRuns: 1500 })).not.toThrow();
});

/** Plays a script to a core that has a driver of the simplest kind, and checks its invariants at every step. */
function runScript(core: RaftCore, script: readonly (Message | "tick" | "store")[]): void {
  let seq = 0;
  let applied = 0;
  for (const item of script) {
    if (item === "tick") core.step({ kind: "tick", nowMs: 0, leasesExist: true });
    else if (item === "store") core.step({ kind: "stored", nowMs: 0, seq });
    else core.step({ kind: "message", nowMs: 0, message: item });
    checkInvariants(core);
    for (const effect of core.takeEffects()) {
      if (effect.kind === "persist") seq = effect.seq;
      if (effect.kind === "apply") applied = effect.entries.at(-1)?.index ?? applied;
    }
    core.step({ kind: "applied", index: applied });
  }
}

test("a driver that breaks the contract is stopped", () => {
  expect(() => newCore().take({ kind: "stored", nowMs: 0, seq: 7 })).toThrow(InvariantViolation);
  expect(() => newCore().take({ kind: "applied", index: 3 })).toThrow(InvariantViolation);
});

test("the default configuration is sound, and unsound ones are refused in sentences", () => {
  expect(validateRaftConfig(defaultRaftConfig)).toEqual([]);
  expect(validateRaftConfig({ ...defaultRaftConfig, electionTicks: 2, applyEntriesMax: 0 })).toEqual([
    "applyEntriesMax (0) must be an integer of at least 1",
    "electionTicks (2) must be greater than heartbeatTicks (2)",
  ]);
});
