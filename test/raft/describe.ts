/** Effects and messages as lines of a transcript. Positions are written `index@term`, members `id@term`. */

import type { Effect, RaftEvent, RaftStatus } from "../../src/raft/io.ts";
import type { Message } from "../../src/raft/messages.ts";
import type { Entry, EntryId, NodeId, Term } from "../../src/raft/types.ts";
import { describeEntry, describeMembership } from "../support/raft-network.ts";

export function describeId({ index, term }: EntryId): string {
  return `${index}@${term}`;
}

export function describeMessage(message: Message): string {
  return `${message.from}→${message.to} ${message.type} term=${message.term}${describeBody(message)}`;
}

function describeBody(message: Message): string {
  switch (message.type) {
    case "preVote":
    case "timeoutNow":
      return ` last=${describeId(message.last)}`;
    case "vote":
      return ` last=${describeId(message.last)}${message.transfer ? " transfer" : ""}`;
    case "preVoteReply":
    case "voteReply":
      return message.granted ? " granted" : " refused";
    case "append":
      return ` previous=${describeId(message.previous)} [${describeEntries(message.entries)}] commit=${message.commit}`;
    case "appendReply":
      return describeAppendReply(message);
    case "heartbeat":
      return ` round=${message.round} commit=${message.commit}/${message.leaderCommit}${message.recoveryIndex > 0 ? ` recoveryIndex=${message.recoveryIndex}` : ""}`;
    case "heartbeatReply":
      return ` round=${message.round} applied=${message.appliedIndex}${message.recovering ? " recovering" : ""}`;
    case "snapshotOffer":
      return ` ${message.meta.id} last=${describeId(message.meta.last)}`;
    case "readIndex":
      return ` id=${message.id}`;
    case "readIndexReply":
      return ` id=${message.id} index=${message.index}`;
    case "removed":
      return ` at=${message.membershipIndex}`;
  }
}

function describeAppendReply(message: Extract<Message, { type: "appendReply" }>): string {
  const outcome = message.accepted
    ? ` accepted=${message.index}`
    : ` refused=${message.previousIndex} hint=${describeId({ index: message.index, term: message.hintTerm })}`;
  return `${outcome}${message.recovering ? " recovering" : ""}`;
}

export function describeEntries(entries: readonly Entry[]): string {
  return entries.map(describeEntry).join(", ");
}

export function describeEffect(id: NodeId, term: Term, effect: Effect): string {
  switch (effect.kind) {
    case "persist":
      return `${id} writes #${effect.seq}${describeWrite(effect)}`;
    case "send":
      return `${describeMessage(effect.message)}${effect.afterSeq > 0 ? ` (after #${effect.afterSeq})` : ""}`;
    case "apply":
      return `${id} applies ${describeEntries(effect.entries)}`;
    case "proposalAppended":
      return `${id} appended ${describeId(effect.entry)}`;
    case "proposalRejected":
      return `${id} rejected: ${effect.reason}`;
    case "readReady":
      return `${id} may read at ${effect.index}`;
    case "readFailed":
      return `${id} may not read: ${effect.reason}`;
    case "sendSnapshot":
      return `${id} offers its image to ${effect.to}`;
    case "fetchSnapshot":
      return `${id} fetches ${effect.meta.id} from ${effect.from}`;
    case "compactLog":
      return `${id} compacts its log up to ${describeId(effect.base.last)}`;
    case "recovered":
      return `${id} writes #${effect.seq} that it has recovered`;
    case "event":
      return describeEvent(id, term, effect.event);
  }
}

function describeWrite({ hardState, truncateAfter, entries }: Extract<Effect, { kind: "persist" }>): string {
  const parts = [];
  if (hardState !== null) parts.push(` term=${hardState.term} vote=${hardState.vote}`);
  if (truncateAfter !== null) parts.push(` cut-after=${truncateAfter}`);
  if (entries.length > 0) parts.push(` [${describeEntries(entries)}]`);
  return parts.join("");
}

function describeEvent(id: NodeId, term: Term, event: RaftEvent): string {
  switch (event.kind) {
    case "roleChanged":
      return `${id}@${event.term} ⇨ ${event.role}: ${event.reason}`;
    case "leaderChanged":
      return event.leader === null
        ? `${id}@${event.term} knows no leader`
        : `${id}@${event.term} knows ${event.leader} as leader`;
    case "votedFor":
      return `${id}@${event.term} votes for ${event.candidate}`;
    case "membershipChanged":
      return `${id} membership at ${event.at.index}: ${describeMembership(event.membership)}`;
    case "truncated":
      return `${id} cuts its log after ${event.after}, dropping ${event.dropped}`;
    case "transferStarted":
      return `${id} hands over to ${event.to}`;
    case "transferAborted":
      return `${id} does not hand over to ${event.to === "" ? "anybody" : event.to}: ${event.reason}`;
    case "steppedDown":
      return `${id}@${event.term} steps down: ${event.reason}`;
    case "messageIgnored":
      return `${id}@${term} ignores ${event.type} from ${event.from}: ${event.reason}`;
    case "removed":
      return `${id} was removed at ${event.index}`;
    case "memoryLost":
      return `${id} finds that it has lost ${event.lastIndex + 1}..${event.acknowledgedIndex}`;
    case "recovered":
      return `${id} has recovered at ${event.index}`;
  }
}

export function describeStatus(status: RaftStatus): string[] {
  const { id, role, term, leader, commitIndex, appliedIndex, durableIndex, firstIndex, lastIndex } = status;
  const flags = [
    status.recovering && " recovering",
    status.removed && " removed",
    status.storageFailed && " storage-failed",
  ].filter(Boolean);
  const head = `${id}@${term} ${role} leader=${leader} log=${firstIndex}..${lastIndex} durable=${durableIndex} commit=${commitIndex} applied=${appliedIndex}${flags.join("")}`;
  const peers = status.peers.map(
    (peer) =>
      `  ${peer.id} ${peer.state} match=${peer.matchIndex} next=${peer.nextIndex}${peer.recentlyActive ? " active" : ""}${peer.recovering ? " recovering" : ""}`,
  );
  return [head, ...peers];
}
