import fc from "fast-check";
import { expect, test } from "vitest";
import type { Message, MessageType } from "../../src/raft/messages.ts";
import type { Entry, EntryId, Membership, SnapshotMeta } from "../../src/raft/types.ts";
import {
  entryFromArray,
  entryToArray,
  membershipFromArray,
  membershipToArray,
  messageFromArray,
  messageToArray,
} from "../../src/raft/wire.ts";
import { WireError } from "../../src/raft/wire-reader.ts";
import { membershipOf } from "../support/raft-network.ts";

const number = fc.nat(Number.MAX_SAFE_INTEGER);
const positive = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const name = fc.string({ minLength: 1, maxLength: 20 });
const entryId: fc.Arbitrary<EntryId> = fc.oneof(
  fc.constant({ term: 0, index: 0 }),
  fc.record({ term: positive, index: positive }),
);

const membership: fc.Arbitrary<Membership> = fc
  .uniqueArray(name, { minLength: 1, maxLength: 6 })
  .chain((ids) =>
    fc
      .record({ voterCount: fc.integer({ min: 1, max: ids.length }), outgoing: fc.subarray(ids) })
      .map(({ voterCount, outgoing }) => {
        const voters = ids.slice(0, voterCount);
        const learners = ids.slice(voterCount).filter((id) => !outgoing.includes(id));
        return {
          ...membershipOf(voters, ids.slice(voterCount)),
          learners: learners.toSorted(),
          outgoing: outgoing.toSorted(),
        };
      }),
  );

const position = { term: positive, index: positive, clusterTime: number };
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constant("command"), ...position, payload: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ kind: fc.constant("election"), ...position, graceMs: number }),
  fc.record({ kind: fc.constant("membership"), ...position, membership }),
  fc.record({ kind: fc.constant("clock"), ...position }),
);

const meta: fc.Arbitrary<SnapshotMeta> = fc.record({
  id: name,
  last: fc.record({ term: positive, index: fc.constant(Number.MAX_SAFE_INTEGER) }),
  clusterTime: number,
  membership,
  membershipIndex: number,
  lastGraceAt: fc.integer({ min: -1 }),
});

const head = { from: name, to: name, term: number };
const boolean = fc.boolean();
const bodies: { [T in MessageType]: fc.Arbitrary<Extract<Message, { type: T }>> } = {
  preVote: fc.record({ type: fc.constant("preVote"), ...head, last: entryId }),
  preVoteReply: fc.record({ type: fc.constant("preVoteReply"), ...head, granted: boolean }),
  vote: fc.record({ type: fc.constant("vote"), ...head, last: entryId, transfer: boolean }),
  voteReply: fc.record({ type: fc.constant("voteReply"), ...head, granted: boolean }),
  append: fc.record({
    type: fc.constant("append"),
    ...head,
    previous: entryId,
    entries: fc.array(entry, { maxLength: 4 }),
    commit: number,
  }),
  appendReply: fc.record({
    type: fc.constant("appendReply"),
    ...head,
    previousIndex: number,
    accepted: boolean,
    index: number,
    hintTerm: number,
    recovering: boolean,
  }),
  heartbeat: fc.record({
    type: fc.constant("heartbeat"),
    ...head,
    commit: number,
    leaderCommit: number,
    leaderAgeMs: number,
    round: number,
    recoveryIndex: number,
  }),
  heartbeatReply: fc.record({
    type: fc.constant("heartbeatReply"),
    ...head,
    round: number,
    appliedIndex: number,
    recovering: boolean,
  }),
  snapshotOffer: fc.record({ type: fc.constant("snapshotOffer"), ...head, meta }),
  timeoutNow: fc.record({ type: fc.constant("timeoutNow"), ...head, last: entryId }),
  readIndex: fc.record({ type: fc.constant("readIndex"), ...head, id: name }),
  readIndexReply: fc.record({
    type: fc.constant("readIndexReply"),
    ...head,
    id: name,
    index: fc.option(number),
  }),
  removed: fc.record({ type: fc.constant("removed"), ...head, membershipIndex: positive }),
};
const message: fc.Arbitrary<Message> = fc.oneof(...Object.values(bodies));

test("entries, memberships and all messages survive the way there and back", () => {
  const survives = <T>(
    values: fc.Arbitrary<T>,
    toArray: (value: T) => unknown[],
    fromArray: (array: unknown) => T,
  ): void => {
    const property = fc.property(values, (value) => {
      expect(fromArray(toArray(value))).toEqual(value);
    });
    fc.assert(property, { numRuns: 500 });
  };
  survives(entry, entryToArray, entryFromArray);
  survives(membership, membershipToArray, membershipFromArray);
  survives(message, messageToArray, messageFromArray);
});

test("a message with a field too few or too many is refused", () => {
  fc.assert(
    fc.property(message, (value) => {
      const array = messageToArray(value);
      expect(() => messageFromArray(array.slice(0, -1))).toThrow(WireError);
      expect(() => messageFromArray([...array, 0])).toThrow(WireError);
    }),
  );
});

test("whatever arrives, it is either read or refused with a WireError", () => {
  const junk = fc.anything({ withBigInt: true, withTypedArray: true });
  const outcomeOf = (read: () => unknown): string => {
    try {
      read();
      return "read";
    } catch (error) {
      return error instanceof WireError ? "refused" : String(error);
    }
  };
  fc.assert(
    fc.property(message, fc.nat(12), junk, (value, at, replacement) => {
      const array = messageToArray(value);
      array[at % array.length] = replacement;
      expect(["read", "refused"]).toContain(outcomeOf(() => messageFromArray(array)));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(junk, (value) => {
      expect(outcomeOf(() => messageFromArray(value))).toBe("refused");
      expect(outcomeOf(() => entryFromArray(value))).toBe("refused");
    }),
  );
});

test.each([
  ["no array", "hello", "message must be an array"],
  ["an unknown kind", [99, "n1", "n2", 1], "99 is no kind of message"],
  ["a negative term", [10, "n1", "n2", -1, "id"], "field 3 of message must be an integer of at least 0"],
  ["a fraction", [12, "n1", "n2", 1, 1.5], "field 4 of message must be an integer of at least 1"],
  [
    "a number beyond what is exact",
    [12, "n1", "n2", 1, 2 ** 53],
    "field 4 of message must be an integer of at least 1",
  ],
  ["a big integer", [12, "n1", "n2", 1n, 1], "field 3 of message must be an integer of at least 0"],
  ["no sender", [10, "", "n2", 1, "id"], "field 1 of message must not be empty"],
  [
    "an index without a term",
    [9, "n1", "n2", 1, 0, 5],
    "field 5 of message must be zero exactly if the term is",
  ],
  [
    "an entry of term 0",
    [4, "n1", "n2", 1, 0, 0, [[3, 0, 1, 0]], 0],
    "field 1 of entry must be an integer of at least 1",
  ],
  ["text for bytes", [4, "n1", "n2", 1, 0, 0, [[0, 1, 1, 0, "x"]], 0], "field 4 of entry must be bytes"],
])("%s is refused in a sentence", (_, value, sentence) => {
  expect(() => messageFromArray(value)).toThrow(new WireError(sentence));
});

test.each([
  ["a voter that nobody describes", [["n1"], [], [], []]],
  [
    "a member without a place",
    [
      ["n1"],
      [],
      [],
      [
        ["n1", "i", "", ""],
        ["n2", "i", "", ""],
      ],
    ],
  ],
  ["a voter that is a learner", [["n1"], [], ["n1"], [["n1", "i", "", ""]]]],
  [
    "ids out of order",
    [
      ["n2", "n1"],
      [],
      [],
      [
        ["n1", "i", "", ""],
        ["n2", "i", "", ""],
      ],
    ],
  ],
  ["an id twice", [["n1", "n1"], [], [], [["n1", "i", "", ""]]]],
  ["learners and no voter", [[], [], ["n1"], [["n1", "i", "", ""]]]],
])("a membership with %s is refused", (_, array) => {
  expect(() => membershipFromArray(array)).toThrow(WireError);
});
