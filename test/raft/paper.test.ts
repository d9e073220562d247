/** The rules of the extended Raft paper, section 5, one test each: what its Figure 2 tells servers to do. */

import { expect, test } from "vitest";
import { checkInvariants } from "../../src/raft/invariants.ts";
import type { Append, AppendReply, Message, MessageType, Vote, VoteReply } from "../../src/raft/messages.ts";
import type { Entry, NodeId, Term } from "../../src/raft/types.ts";
import { RaftNetwork, text } from "../support/raft-network.ts";

const stranger = { from: "n2", to: "n1" } as const;

function newCluster(...ids: NodeId[]): RaftNetwork {
  const network = new RaftNetwork({ afterStep: ({ core }) => checkInvariants(core) });
  network.bootstrap(ids);
  return network;
}

/** n1 follows n2 in a term, with entries of these terms after the membership. */
function followerWithLog(term: Term, ...terms: Term[]): RaftNetwork {
  const network = newCluster("n1", "n2", "n3");
  const { membership } = network.core("n1").status;
  const first: Entry = { kind: "membership", term: 1, index: 1, clusterTime: 0, membership };
  network.add("n1", [first, ...terms.map((entryTerm, i) => command(i + 2, entryTerm))], { term, vote: null });
  return network;
}

function command(index: number, term: Term): Entry {
  return { kind: "command", term, index, clusterTime: 0, payload: text(`x${index}@${term}`) };
}

function append(options: Partial<Append>): Append {
  return {
    ...stranger,
    type: "append",
    term: 2,
    previous: { term: 1, index: 1 },
    entries: [],
    commit: 0,
    ...options,
  };
}

function vote(options: Partial<Vote>): Vote {
  return { ...stranger, type: "vote", term: 2, last: { term: 1, index: 1 }, transfer: false, ...options };
}

/** Delivers a message, completes all writes, and returns the messages of that type that this brought about. */
function replies<T extends MessageType>(
  network: RaftNetwork,
  message: Message,
  type: T,
): Extract<Message, { type: T }>[] {
  network.takeInFlight();
  network.deliver(message);
  network.store(message.to);
  return network
    .takeInFlight()
    .filter((reply): reply is Extract<Message, { type: T }> => reply.type === type);
}

function reply(network: RaftNetwork, message: Append): AppendReply | undefined {
  return replies(network, message, "appendReply")[0];
}

function voteReply(network: RaftNetwork, message: Vote): VoteReply | undefined {
  return replies(network, message, "voteReply")[0];
}

function termsOf(network: RaftNetwork, id: NodeId): Term[] {
  const { core } = network.member(id);
  return Array.from({ length: core.status.lastIndex }, (_, i) => core.termAt(i + 1) ?? 0);
}

// ------------------------------------------------------------------ 5.1 Basics

test("a member that hears of a later term follows in it (paper §5.1)", () => {
  const network = newCluster("n1", "n2", "n3");
  network.elect("n1");
  network.deliver({
    ...stranger,
    type: "heartbeatReply",
    term: 7,
    round: 1,
    appliedIndex: 0,
    recovering: false,
  });
  expect(network.core("n1").status).toMatchObject({ role: "follower", term: 7, vote: null });
});

test("a request of an earlier term is refused with the current one (paper §5.1)", () => {
  const network = followerWithLog(5);
  expect(voteReply(network, vote({ term: 4 }))).toMatchObject({ term: 5, granted: false });
});

test("an earlier leader's append is not taken, and is told the current term (paper §5.1)", () => {
  const network = followerWithLog(5);
  const [answer] = replies(network, append({ term: 4, entries: [command(2, 4)] }), "heartbeatReply");
  expect(answer).toMatchObject({ term: 5 });
  expect(network.core("n1").status).toMatchObject({ lastIndex: 1, leader: null });
});

// ------------------------------------------------------------------ 5.2 Leader election

test("members start as followers (paper §5.2)", () => {
  expect(newCluster("n1", "n2", "n3").core("n1").status).toMatchObject({ role: "follower", leader: null });
});

test("heartbeats keep a follower from campaigning (paper §5.2)", () => {
  const network = newCluster("n1", "n2", "n3");
  network.elect("n1");
  for (let i = 0; i < 100; i += 1) {
    network.tickAll();
    network.settle();
  }
  expect(network.leader?.id).toBe("n1");
  expect(network.core("n1").status.term).toBe(2);
});

test("a candidate votes for itself in a new term, and asks everybody once that is durable (paper §5.2)", () => {
  const network = newCluster("n1", "n2", "n3");
  for (let i = 0; i < 10; i += 1) network.tick("n1");
  for (const message of network.takeInFlight()) network.deliver(message);
  for (const message of network.takeInFlight()) network.deliver(message);
  expect(network.core("n1").status).toMatchObject({ role: "candidate", term: 2, vote: "n1" });
  expect(network.inFlight).toEqual([]);
  network.store("n1");
  expect(network.inFlight.map((message) => [message.type, message.to])).toEqual([
    ["vote", "n2"],
    ["vote", "n3"],
  ]);
});

test.each([1, 2, 3, 4, 5, 6, 7])("a majority of %i voters elects, and no fewer do (paper §5.2)", (count) => {
  const ids = Array.from({ length: count }, (_, i) => `n${i + 1}`);
  const quorum = Math.floor(count / 2) + 1;
  const attempt = (votes: number): string => {
    const network = newCluster(...ids);
    for (const id of ids.slice(votes)) network.crash(id);
    for (let i = 0; i < 10; i += 1) network.tick("n1");
    network.settle();
    return network.core("n1").status.role;
  };
  expect(attempt(quorum)).toBe("leader");
  expect(quorum === 1 || attempt(quorum - 1) === "preCandidate").toBe(true);
});

test("one vote a term, first come, first served, and the same candidate again (paper §5.2)", () => {
  const network = followerWithLog(1);
  expect(voteReply(network, vote({}))).toMatchObject({ granted: true });
  expect(voteReply(network, vote({ from: "n3" }))).toMatchObject({ granted: false });
  // The first reply may have been lost.
  expect(voteReply(network, vote({}))).toMatchObject({ granted: true });
});

test("a vote repeated by the network counts once (paper §5.2)", () => {
  const network = newCluster("n1", "n2", "n3", "n4", "n5");
  for (let i = 0; i < 10; i += 1) network.tick("n1");
  for (let wave = 0; wave < 3; wave += 1) {
    network.store("n1");
    for (const message of network.takeInFlight(({ type }) => type !== "vote")) network.deliver(message);
  }
  const granted: VoteReply = { ...stranger, type: "voteReply", term: 2, granted: true };
  for (let i = 0; i < 4; i += 1) network.deliver(granted);
  expect(network.core("n1").status.role).toBe("candidate");
  network.deliver({ ...granted, from: "n3" });
  expect(network.core("n1").status.role).toBe("leader");
});

test("a vote survives a crash only if it was given: never sent before it is durable (paper §5.2, Figure 2)", () => {
  const network = followerWithLog(1);
  network.deliver(vote({}));
  expect(network.takeInFlight()).toEqual([]);
  network.crash("n1");
  network.restart("n1");
  // Nobody has seen the first vote, so this one is as good.
  expect(voteReply(network, vote({ from: "n3" }))).toMatchObject({ granted: true });
});

test("a candidate that hears the leader of its term follows it (paper §5.2)", () => {
  const network = newCluster("n1", "n2", "n3");
  for (let i = 0; i < 10; i += 1) network.tick("n1");
  for (let wave = 0; wave < 2; wave += 1)
    for (const message of network.takeInFlight()) network.deliver(message);
  expect(network.core("n1").status).toMatchObject({ role: "candidate", term: 2 });
  network.deliver(append({}));
  expect(network.core("n1").status).toMatchObject({ role: "follower", term: 2, leader: "n2" });
});

test("only a granted vote puts off a follower's own campaign; a refused one does not (paper §5.2)", () => {
  const ticksToCampaign = (message: Vote): number => {
    const network = followerWithLog(3, 3);
    for (let i = 0; i < 9; i += 1) network.tick("n1");
    network.deliver(message);
    let ticks = 0;
    for (; network.core("n1").status.role === "follower"; ticks += 1) network.tick("n1");
    return ticks;
  };
  expect(ticksToCampaign(vote({ term: 4, last: { term: 3, index: 2 } }))).toBe(10);
  expect(ticksToCampaign(vote({ term: 4, last: { term: 2, index: 9 } }))).toBe(1);
});

test("each wait for a leader is drawn anew from one to two election timeouts (paper §5.2, §9.3)", () => {
  const draws = [0, 0.5, 0.999];
  const waits = draws.map((draw) => {
    const network = new RaftNetwork({ random: () => () => draw });
    network.bootstrap(["n1", "n2"]);
    let ticks = 0;
    for (; network.core("n1").status.role === "follower"; ticks += 1) network.tick("n1");
    return ticks;
  });
  expect(waits).toEqual([10, 15, 19]);
});

// ------------------------------------------------------------------ 5.3 Log replication

test("an entry is committed once a majority holds it durably, and then applied in order (paper §5.3)", () => {
  const network = newCluster("n1", "n2", "n3");
  network.elect("n1");
  network.step("n1", { kind: "propose", nowMs: 0, ctx: 1, payload: text("a"), ifTerm: null });
  network.settle();
  for (const { image } of network.members.values()) expect(image.state.at(-1)).toBe("3@2 a");
});

test("an entry that only a minority holds is not committed (paper §5.3)", () => {
  const network = newCluster("n1", "n2", "n3", "n4", "n5");
  network.elect("n1");
  for (const id of ["n3", "n4", "n5"]) network.crash(id);
  network.step("n1", { kind: "propose", nowMs: 0, ctx: 1, payload: text("a"), ifTerm: null });
  network.settle();
  expect(network.core("n1").status).toMatchObject({ lastIndex: 3, commitIndex: 2 });
});

test("a leader's own copy counts only when its disk has it (paper §5.3, Figure 2)", () => {
  const network = newCluster("n1", "n2", "n3");
  network.elect("n1");
  network.step("n1", { kind: "propose", nowMs: 0, ctx: 1, payload: text("a"), ifTerm: null });
  for (const message of network.takeInFlight(({ to }) => to === "n2")) network.deliver(message);
  network.store("n2");
  for (const message of network.takeInFlight()) network.deliver(message);
  expect(network.core("n1").status.commitIndex).toBe(2);
  network.store("n1");
  expect(network.core("n1").status.commitIndex).toBe(3);
});

test("an append is accepted only if the log has its previous entry (paper §5.3, Log Matching)", () => {
  const network = followerWithLog(4, 1, 2);
  expect(reply(network, append({ term: 4, previous: { term: 2, index: 3 } }))).toMatchObject({
    accepted: true,
    index: 3,
  });
  expect(reply(network, append({ term: 4, previous: { term: 3, index: 3 } }))).toMatchObject({
    accepted: false,
  });
  expect(reply(network, append({ term: 4, previous: { term: 4, index: 9 } }))).toMatchObject({
    accepted: false,
    index: 3,
    hintTerm: 2,
  });
});

test.each([
  { name: "nothing", entries: [], terms: [1, 1, 2, 2], match: 2 },
  { name: "what is there", entries: [command(3, 2)], terms: [1, 1, 2, 2], match: 3 },
  {
    name: "the whole rest and more",
    entries: [command(3, 2), command(4, 2), command(5, 4)],
    terms: [1, 1, 2, 2, 4],
    match: 5,
  },
  { name: "a conflict in the middle", entries: [command(3, 3)], terms: [1, 1, 3], match: 3 },
  {
    name: "a conflict at the end",
    entries: [command(3, 2), command(4, 3), command(5, 4)],
    terms: [1, 1, 2, 3, 4],
    match: 5,
  },
])(
  "an append of $name cuts only what conflicts (paper §5.3, AppendEntries 3 and 4)",
  ({ entries, terms, match }) => {
    const network = followerWithLog(4, 1, 2, 2);
    expect(reply(network, append({ term: 4, previous: { term: 1, index: 2 }, entries }))).toMatchObject({
      accepted: true,
      index: match,
    });
    expect(termsOf(network, "n1")).toEqual(terms);
  },
);

test("a follower commits no further than the message reaches (paper §5.3, AppendEntries 5)", () => {
  const network = followerWithLog(4, 1, 2, 2);
  reply(network, append({ term: 4, previous: { term: 1, index: 2 }, entries: [], commit: 4 }));
  expect(network.core("n1").status.commitIndex).toBe(2);
  reply(network, append({ term: 4, previous: { term: 1, index: 2 }, entries: [command(3, 2)], commit: 4 }));
  expect(network.core("n1").status.commitIndex).toBe(3);
});

test("an append from before the commit index is no conflict: what is committed is the same everywhere (paper §5.3)", () => {
  const network = followerWithLog(4, 1, 2);
  reply(network, append({ term: 4, previous: { term: 2, index: 3 }, commit: 3 }));
  const late = append({ term: 4, previous: { term: 1, index: 1 }, entries: [command(2, 1)], commit: 2 });
  expect(reply(network, late)).toMatchObject({ accepted: true, index: 3 });
  expect(termsOf(network, "n1")).toEqual([1, 1, 2]);
});

test("an acknowledgement waits for the disk, and a crash before that forgets the entry with nobody told (paper §5.3)", () => {
  const network = followerWithLog(2);
  network.deliver(append({ entries: [command(2, 2)] }));
  expect(network.takeInFlight()).toEqual([]);
  network.crash("n1");
  network.restart("n1");
  expect(network.core("n1").status.lastIndex).toBe(1);
});

test("a leader never cuts or overwrites its own log (paper §5.3, Leader Append-Only)", () => {
  const network = newCluster("n1", "n2", "n3");
  network.elect("n1");
  network.deliver(append({ term: 2, previous: { term: 1, index: 1 }, entries: [command(2, 1)] }));
  expect(termsOf(network, "n1")).toEqual([1, 2]);
});

// ------------------------------------------------------------------ 5.4 Safety

test.each([
  { name: "a later last term", last: { term: 3, index: 2 }, granted: true },
  { name: "an equal log", last: { term: 2, index: 3 }, granted: true },
  { name: "the same last term and a longer log", last: { term: 2, index: 4 }, granted: true },
  { name: "the same last term and a shorter log", last: { term: 2, index: 2 }, granted: false },
  { name: "an earlier last term and a longer log", last: { term: 1, index: 9 }, granted: false },
])("a candidate with $name gets the vote: $granted (paper §5.4.1)", ({ last, granted }) => {
  const network = followerWithLog(3, 1, 2);
  expect(voteReply(network, vote({ term: 4, last }))).toMatchObject({ granted });
});

test("entries of earlier terms are committed only with one of the leader's own (paper §5.4.2, Figure 8)", () => {
  const network = newCluster("n1", "n2", "n3");
  const { membership } = network.core("n1").status;
  const log: Entry[] = [{ kind: "membership", term: 1, index: 1, clusterTime: 0, membership }, command(2, 2)];
  network.add("n1", log, { term: 3, vote: null });
  network.elect("n1");
  const leader = network.core("n1").status;
  expect(leader.term).toBe(4);
  expect(leader.commitIndex).toBe(3);
  // An acknowledgement of the old entry alone, from everybody, would not have done.
  const fresh = newCluster("n1", "n2", "n3");
  fresh.add("n1", log, { term: 3, vote: null });
  for (let i = 0; i < 10; i += 1) fresh.tick("n1");
  for (let wave = 0; wave < 8; wave += 1) {
    for (const id of fresh.members.keys()) fresh.store(id);
    for (const message of fresh.takeInFlight(({ type }) => type !== "append")) fresh.deliver(message);
  }
  for (const from of ["n2", "n3"]) {
    fresh.deliver({
      from,
      to: "n1",
      type: "appendReply",
      term: 4,
      previousIndex: 1,
      accepted: true,
      index: 2,
      hintTerm: 0,
      recovering: false,
    });
  }
  expect(fresh.core("n1").status).toMatchObject({ role: "leader", commitIndex: 0 });
});

// ------------------------------------------------------------------ 5.5, 5.6

test("repeating any message changes nothing (paper §5.5)", () => {
  const run = (copies: number): unknown => {
    const network = newCluster("n1", "n2", "n3");
    for (let i = 0; i < 10; i += 1) network.tick("n1");
    for (let wave = 0; wave < 30; wave += 1) {
      for (const id of network.members.keys()) network.store(id);
      for (const message of network.takeInFlight())
        for (let i = 0; i < copies; i += 1) network.deliver(message);
    }
    return [...network.members.values()].map(({ core }) => core.status);
  };
  expect(run(3)).toEqual(run(1));
});

test("safety does not depend on time: any number of ticks anywhere, and terms and logs still agree (paper §5.6)", () => {
  const network = newCluster("n1", "n2", "n3");
  network.elect("n1");
  for (let i = 0; i < 1000; i += 1) network.tick("n3");
  network.settle();
  for (let i = 0; i < 50; i += 1) {
    network.tickAll();
    network.settle();
  }
  expect(network.leader).toBeDefined();
  expect(termsOf(network, "n1")).toEqual(termsOf(network, "n3"));
});
