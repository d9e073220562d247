/**
 * The run as a stream of events: a running hash, so that two runs can be compared at a glance, and for readers one dense line an event.
 * What the columns mean is in README.md.
 */

import type { Message } from "../../src/raft/messages.ts";
import type { SimMember } from "./world/member.ts";

export type TraceSink = (line: string) => void;

export class Trace {
  readonly #sink: TraceSink | null;
  #hash = 0x811c9dc5;
  #events = 0;

  constructor(sink: TraceSink | null) {
    this.#sink = sink;
  }

  get events(): number {
    return this.#events;
  }

  /** 8 hex digits. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** A message, a disk completion or a client's call: what counts as an event. */
  event(atMs: number, what: string, to: SimMember, detail: string | Message | null): void {
    this.#events += 1;
    this.#mix(atMs, what, to.number);
    if (this.#sink !== null) this.#line(atMs, what, to, typeof detail === "string" ? detail : show(detail));
  }

  /** Something worth reading that is no event: a fault, a change of role. */
  note(atMs: number, what: string, member: SimMember | null, detail = ""): void {
    this.#mix(atMs, what, member?.number ?? 99);
    if (this.#sink !== null) this.#line(atMs, what, member, detail);
  }

  #mix(atMs: number, what: string, number: number): void {
    let hash = this.#hash ^ Math.floor(atMs * 1000);
    hash = Math.imul(hash, 0x01000193) ^ number;
    hash =
      Math.imul(hash, 0x01000193) ^
      what.length ^
      (what.charCodeAt(0) << 8) ^
      (what.charCodeAt(what.length - 1) << 16);
    this.#hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  }

  #line(atMs: number, what: string, member: SimMember | null, detail: string): void {
    const core = member?.core ?? null;
    const state = core === null ? "" : stateOf(member!);
    this.#sink?.(
      `${String(this.#events).padStart(6)} ${atMs.toFixed(2).padStart(10)} ${(member?.id ?? "-").padEnd(3)} ${state.padEnd(24)} ${what.padEnd(16)} ${detail}`,
    );
  }
}

/** Role, term, and the indexes: first, applied, commit, durable, last. */
function stateOf(member: SimMember): string {
  const { node, role } = member.core!.view;
  const { log } = node;
  const mark = { follower: "f", preCandidate: "p", candidate: "c", leader: "L" }[role.role];
  const flags = `${node.recovery.isRecovering ? "?" : ""}${member.process?.isPaused === true ? "Z" : ""}`;
  return `${mark}${flags}${node.term} ${log.firstIndex}/${log.appliedIndex}/${log.commitIndex}/${log.durableIndex}/${log.lastIndex}`;
}

function show(message: Message | null): string {
  if (message === null) return "";
  const { from, term } = message;
  const head = `${from} t${term}`;
  switch (message.type) {
    case "append": {
      const { previous, entries, commit } = message;
      return `${head} ${previous.index}@${previous.term} +${entries.map((entry) => `${entry.kind[0]}${entry.index}@${entry.term}`).join(",")} c${commit}`;
    }
    case "appendReply":
      return `${head} ${message.accepted ? "ok" : "no"} ${message.index}${message.accepted ? "" : `@${message.hintTerm} of ${message.previousIndex}`}`;
    case "heartbeat":
      return `${head} r${message.round} c${message.commit} age${message.leaderAgeMs}`;
    case "heartbeatReply":
      return `${head} r${message.round} a${message.appliedIndex}${message.recovering ? " recovering" : ""}`;
    case "preVote":
    case "vote":
      return `${head} last ${message.last.index}@${message.last.term}`;
    case "preVoteReply":
    case "voteReply":
      return `${head} ${message.granted ? "yes" : "no"}`;
    case "readIndex":
      return `${head} ${message.id}`;
    case "readIndexReply":
      return `${head} ${message.id} ${message.index ?? "no"}`;
    case "snapshotOffer":
      return `${head} ${message.meta.id} ${message.meta.last.index}@${message.meta.last.term}`;
    case "timeoutNow":
      return `${head} last ${message.last.index}@${message.last.term}`;
    case "removed":
      return `${head} by ${message.membershipIndex}`;
  }
}
