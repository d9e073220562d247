/**
 * How a member answers those who want to lead. The same in every role.
 */

import { memberOf } from "./membership.ts";
import type { PreVote, Vote } from "./messages.ts";
import type { RaftNode } from "./node.ts";

/**
 * Whether the asker must be turned away because its leader lives (thesis §4.2.3). Not if the asker *is* the leader we know: then it
 * leads no more. Nor if the leader itself asked for the election.
 */
export function isDisturbance(node: RaftNode, message: PreVote | Vote): boolean {
  if (message.type === "vote" && message.transfer) return false;
  return node.hearsLeader && message.from !== node.leader;
}

/**
 * "Could I win an election in this term?" (thesis §9.6) Answering promises nothing: no term, vote or timer changes. A refusal carries our
 * own term, so that an asker whose term is behind can catch up.
 */
export function answerPreVote(node: RaftNode, message: PreVote): void {
  const granted =
    message.term > node.term &&
    node.mayVote &&
    node.log.isUpToDate(message.last) &&
    !isDisturbance(node, message);
  const term = granted ? message.term : node.term;
  node.send({ ...node.to(message.from), type: "preVoteReply", term, granted });
  if (!granted) tellIfRemoved(node, message);
}

/**
 * A request for our vote in the current term (paper §5.2, §5.4.1). At most one candidate per term gets it, and it again if it asks again,
 * since the first reply may be lost. Returns whether it was granted.
 */
export function answerVote(node: RaftNode, message: Vote): boolean {
  const isFree = node.vote === null ? node.leader === null : node.vote === message.from;
  const granted = isFree && node.mayVote && node.log.isUpToDate(message.last);
  if (granted) grantVote(node, message);
  node.send({ ...node.to(message.from), type: "voteReply", granted }, granted ? node.hardStateSeq : 0);
  if (!granted) tellIfRemoved(node, message);
  return granted;
}

/** Only a granted vote buys the candidate time: a refused one must not keep better candidates from trying. */
function grantVote(node: RaftNode, message: Vote): void {
  if (node.vote === null) {
    node.setHardState({ term: node.term, vote: message.from });
    node.event({ kind: "votedFor", candidate: message.from, term: node.term, last: node.log.last });
  }
  node.timer.calmDown();
  node.restartTimer();
}

/** Somebody who is no longer a member cannot know it, because nobody sends it entries any more. Committed memberships only. */
export function tellIfRemoved(node: RaftNode, message: PreVote | Vote): void {
  const { membership, membershipIndex, commitIndex } = node.log;
  if (
    membershipIndex === 0 ||
    membershipIndex > commitIndex ||
    memberOf(membership, message.from) !== undefined
  )
    return;
  node.send({ ...node.to(message.from), type: "removed", membershipIndex });
}
