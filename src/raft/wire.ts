/**
 * Messages, entries and memberships as positional arrays, for the write-ahead log and for the network. Packing the arrays into bytes is
 * the business of whoever stores or sends them.
 *
 * The first field is a number that says the kind. Numbers and positions are never reused: what is written today must be readable by
 * every later version.
 */

import { type EntryContent, entryOf } from "./entry.ts";
import { membershipFault } from "./membership.ts";
import type { Message, MessageType } from "./messages.ts";
import type { Entry, EntryId, Member, Membership, SnapshotMeta } from "./types.ts";
import { WireError, WireReader } from "./wire-reader.ts";

// ------------------------------------------------------------------ memberships

export function membershipToArray(membership: Membership): unknown[] {
  const { voters, outgoing, learners, members } = membership;
  return [voters, outgoing, learners, members.map(memberToArray)];
}

export function membershipFromArray(value: unknown): Membership {
  const reader = new WireReader(value, "membership");
  const membership: Membership = {
    voters: reader.names(),
    outgoing: reader.names(),
    learners: reader.names(),
    members: reader.list(memberFromArray),
  };
  reader.end();
  const fault = membershipFault(membership);
  if (fault !== null) throw new WireError(`membership is malformed: ${fault}`);
  return membership;
}

function memberToArray({ id, incarnation, peerUrl, clientUrl }: Member): unknown[] {
  return [id, incarnation, peerUrl, clientUrl];
}

function memberFromArray(value: unknown): Member {
  const reader = new WireReader(value, "member");
  const member = {
    id: reader.name(),
    incarnation: reader.name(),
    peerUrl: reader.text(),
    clientUrl: reader.text(),
  };
  reader.end();
  return member;
}

// ------------------------------------------------------------------ entries

export const entryCodes = { command: 0, election: 1, membership: 2, clock: 3 } as const;

export function entryToArray(entry: Entry): unknown[] {
  const head = [entryCodes[entry.kind], entry.term, entry.index, entry.clusterTime];
  switch (entry.kind) {
    case "command":
      return [...head, entry.payload];
    case "election":
      return [...head, entry.graceMs];
    case "membership":
      return [...head, membershipToArray(entry.membership)];
    case "clock":
      return head;
  }
}

export function entryFromArray(value: unknown): Entry {
  const reader = new WireReader(value, "entry");
  const code = reader.integer();
  const id = { term: reader.integer(1), index: reader.integer(1) };
  const clusterTime = reader.integer();
  const content = readContent(code, reader);
  reader.end();
  return entryOf(content, id, clusterTime);
}

function readContent(code: number, reader: WireReader): EntryContent {
  switch (code) {
    case entryCodes.command:
      return { kind: "command", payload: reader.bytes() };
    case entryCodes.election:
      return { kind: "election", graceMs: reader.integer() };
    case entryCodes.membership:
      return { kind: "membership", membership: membershipFromArray(reader.nested()) };
    case entryCodes.clock:
      return { kind: "clock" };
    default:
      throw new WireError(`${code} is no kind of entry`);
  }
}

// ------------------------------------------------------------------ positions and snapshots

/** Two fields in the array around it. */
function readEntryId(reader: WireReader): EntryId {
  const id = { term: reader.integer(), index: reader.integer() };
  if ((id.term === 0) !== (id.index === 0)) reader.refuse("must be zero exactly if the term is");
  return id;
}

export function snapshotMetaToArray(meta: SnapshotMeta): unknown[] {
  const { id, last, clusterTime, membership, membershipIndex, lastGraceAt } = meta;
  return [
    id,
    last.term,
    last.index,
    clusterTime,
    membershipToArray(membership),
    membershipIndex,
    lastGraceAt,
  ];
}

export function snapshotMetaFromArray(value: unknown): SnapshotMeta {
  const reader = new WireReader(value, "snapshot");
  const meta = {
    id: reader.name(),
    last: readEntryId(reader),
    clusterTime: reader.integer(),
    membership: membershipFromArray(reader.nested()),
    membershipIndex: reader.integer(),
    lastGraceAt: reader.integer(-1),
  };
  reader.end();
  if (meta.membershipIndex > meta.last.index)
    throw new WireError("snapshot has a membership from beyond its end");
  return meta;
}

// ------------------------------------------------------------------ messages

const messageCodes = {
  preVote: 0,
  preVoteReply: 1,
  vote: 2,
  voteReply: 3,
  append: 4,
  appendReply: 5,
  heartbeat: 6,
  heartbeatReply: 7,
  snapshotOffer: 8,
  timeoutNow: 9,
  readIndex: 10,
  readIndexReply: 11,
  removed: 12,
} as const satisfies Record<MessageType, number>;

export function messageToArray(message: Message): unknown[] {
  return [messageCodes[message.type], message.from, message.to, message.term, ...bodyOf(message)];
}

function bodyOf(message: Message): unknown[] {
  switch (message.type) {
    case "preVote":
      return [message.last.term, message.last.index];
    case "preVoteReply":
    case "voteReply":
      return [message.granted];
    case "vote":
      return [message.last.term, message.last.index, message.transfer];
    case "append":
      return [
        message.previous.term,
        message.previous.index,
        message.entries.map(entryToArray),
        message.commit,
      ];
    case "appendReply":
      return [message.previousIndex, message.accepted, message.index, message.hintTerm, message.recovering];
    case "heartbeat": {
      const { commit, leaderCommit, leaderAgeMs, round, recoveryIndex } = message;
      return [commit, leaderCommit, leaderAgeMs, round, recoveryIndex];
    }
    case "heartbeatReply":
      return [message.round, message.appliedIndex, message.recovering];
    case "snapshotOffer":
      return [snapshotMetaToArray(message.meta)];
    case "timeoutNow":
      return [message.last.term, message.last.index];
    case "readIndex":
      return [message.id];
    case "readIndexReply":
      return [message.id, message.index];
    case "removed":
      return [message.membershipIndex];
  }
}

export function messageFromArray(value: unknown): Message {
  const reader = new WireReader(value, "message");
  const code = reader.integer();
  const head = { from: reader.name(), to: reader.name(), term: reader.integer() };
  const message: Message = { ...head, ...messageBody(code, reader) };
  reader.end();
  return message;
}

type Body = Message extends infer M ? (M extends Message ? Omit<M, "from" | "to" | "term"> : never) : never;

function messageBody(code: number, reader: WireReader): Body {
  switch (code) {
    case messageCodes.preVote:
      return { type: "preVote", last: readEntryId(reader) };
    case messageCodes.preVoteReply:
      return { type: "preVoteReply", granted: reader.boolean() };
    case messageCodes.vote:
      return { type: "vote", last: readEntryId(reader), transfer: reader.boolean() };
    case messageCodes.voteReply:
      return { type: "voteReply", granted: reader.boolean() };
    case messageCodes.append:
      return {
        type: "append",
        previous: readEntryId(reader),
        entries: reader.list(entryFromArray),
        commit: reader.integer(),
      };
    case messageCodes.appendReply:
      return {
        type: "appendReply",
        previousIndex: reader.integer(),
        accepted: reader.boolean(),
        index: reader.integer(),
        hintTerm: reader.integer(),
        recovering: reader.boolean(),
      };
    case messageCodes.heartbeat:
      return {
        type: "heartbeat",
        commit: reader.integer(),
        leaderCommit: reader.integer(),
        leaderAgeMs: reader.integer(),
        round: reader.integer(),
        recoveryIndex: reader.integer(),
      };
    case messageCodes.heartbeatReply:
      return {
        type: "heartbeatReply",
        round: reader.integer(),
        appliedIndex: reader.integer(),
        recovering: reader.boolean(),
      };
    case messageCodes.snapshotOffer:
      return { type: "snapshotOffer", meta: snapshotMetaFromArray(reader.nested()) };
    case messageCodes.timeoutNow:
      return { type: "timeoutNow", last: readEntryId(reader) };
    case messageCodes.readIndex:
      return { type: "readIndex", id: reader.name() };
    case messageCodes.readIndexReply:
      return { type: "readIndexReply", id: reader.name(), index: reader.integerOrNull() };
    case messageCodes.removed:
      return { type: "removed", membershipIndex: reader.integer(1) };
    default:
      throw new WireError(`${code} is no kind of message`);
  }
}
