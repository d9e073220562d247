/**
 * What must hold at every moment, in one place and numbered. `checkMarks` is cheap and runs after every step, in production too;
 * `checkInvariants` also scans the log, and is for tests and the simulator. Those about *several* members, such as election safety,
 * are the simulator's.
 *
 *  1. base ≤ applied ≤ commit ≤ last, and applied ≤ durable ≤ last.
 *  2. The log is contiguous; terms and cluster times never decrease along it; no entry's term is above the current one.
 *  3. Committed entries are never cut, and neither term nor commit index ever decreases. (Asserted where they change: log.ts, node.ts.)
 *  4. A leader knows itself as leader, voted for itself, and began its term with an election entry.
 *  5. A leader commits only up to entries of its own term. (Asserted by construction in leader.ts; here: the election entry is its own.)
 *  6. Progress: match < next ≤ last + 1, match ≤ last; nothing is in flight outside of replicate, and empty flights weigh nothing.
 *  7. No message leaves before the state that it depends on is durable. (In outbox.ts and node.ts: every message waits for the term.)
 *  8. The membership in force is the newest in the log, and is well formed.
 *  9. Reads wait only for rounds that were sent, and for indexes that are committed.
 * 10. Votes are counted by id, and a candidate has voted for itself.
 * 11. Writes are numbered in order, and no more of them are stored than were ordered.
 * 12. A leader's count of uncommitted bytes is that of the entries beyond its commit index.
 * 13. What was compared with the log of this term's leader is in the log: a leader cuts off nothing of its own.
 */

import { assert } from "./assert.ts";
import type { Candidate, PreCandidate } from "./candidate.ts";
import { entryBytes } from "./entry.ts";
import type { Follower } from "./follower.ts";
import type { Leader } from "./leader.ts";
import { membershipFault } from "./membership.ts";
import type { RaftNode } from "./node.ts";
import type { Progress } from "./progress.ts";

/** The inside of a core. */
export interface CoreView {
  readonly node: RaftNode;
  readonly role: Follower | PreCandidate | Candidate | Leader;
}

/** Invariants 1, 4, 9, 10, 11 and of 2 what the last entry shows: a few comparisons. */
export function checkMarks({ node, role }: CoreView): void {
  const { base, appliedIndex, commitIndex, lastIndex, lastTerm, durableIndex } = node.log;
  assert(base.last.index <= appliedIndex, "(1) base ≤ applied");
  assert(appliedIndex <= commitIndex, "(1) applied ≤ commit");
  assert(commitIndex <= lastIndex, "(1) commit ≤ last");
  assert(appliedIndex <= durableIndex, "(1) applied ≤ durable");
  assert(durableIndex <= lastIndex, "(1) durable ≤ last");
  assert(lastTerm <= node.term, "(2) no entry is from a later term");
  assert(node.outbox.storedSeq <= node.outbox.lastSeq, "(11) only ordered writes are stored");
  if (role.role === "leader") checkLeader(node, role);
  else assert(node.leader !== node.id, "(4) only a leader takes itself for one");
  if (role.role === "candidate") assert(node.vote === node.id, "(10) a candidate has voted for itself");
}

function checkLeader(node: RaftNode, leader: Leader): void {
  assert(node.leader === node.id, "(4) a leader knows itself");
  assert(node.vote === node.id, "(4) a leader voted for itself");
  assert(
    leader.electionIndex > 0 && leader.electionIndex <= node.log.lastIndex,
    "(4) a term begins with an election entry",
  );
  const proof = leader.heartbeats.reads.newestProof;
  assert(
    proof === null || proof.round <= leader.heartbeats.rounds.newest,
    "(9) reads wait for rounds that were sent",
  );
  assert(proof === null || proof.index <= node.log.commitIndex, "(9) reads wait for committed indexes");
}

/** All invariants that one member can check by itself. Takes time in proportion to the log. */
export function checkInvariants(core: { readonly view: CoreView }): void {
  const { node, role } = core.view;
  checkMarks(core.view);
  checkEntries(node);
  checkMembership(node);
  if (role.role === "leader") checkReplication(node, role);
}

function checkEntries({ log, term, verifiedIndex }: RaftNode): void {
  assert(verifiedIndex <= log.lastIndex, "(13) what was compared is there");
  let previous = { ...log.base.last, clusterTime: log.base.clusterTime };
  for (const entry of log.between(log.base.last.index, log.lastIndex)) {
    assert(entry.index === previous.index + 1, "(2) entries are contiguous");
    assert(entry.term >= Math.max(previous.term, 1) && entry.term <= term, "(2) terms never decrease");
    assert(entry.clusterTime >= previous.clusterTime, "(2) cluster time never decreases");
    previous = { term: entry.term, index: entry.index, clusterTime: entry.clusterTime };
  }
}

function checkMembership({ log }: RaftNode): void {
  const newest = log
    .between(log.base.last.index, log.lastIndex)
    .findLast((entry) => entry.kind === "membership");
  assert(
    log.membershipIndex === (newest?.index ?? log.base.membershipIndex),
    "(8) the newest membership is in force",
  );
  const fault = membershipFault(log.membership);
  assert(fault === null, `(8) the membership is well formed: ${fault}`);
}

function checkReplication(node: RaftNode, leader: Leader): void {
  const { log, term } = node;
  assert(
    log.firstIndex > leader.electionIndex || log.termAt(leader.electionIndex) === term,
    "(5) the election entry is our own",
  );
  for (const peer of leader.replication.peers()) checkProgress(node, peer);
  const bytes = log
    .between(log.commitIndex, log.lastIndex)
    .reduce((sum, entry) => sum + entryBytes(entry), 0);
  assert(leader.uncommittedBytes === bytes, "(12) uncommitted bytes are counted");
}

function checkProgress({ log }: RaftNode, peer: Progress): void {
  assert(peer.matchIndex < peer.nextIndex, "(6) match < next");
  assert(peer.matchIndex <= log.lastIndex, "(6) match ≤ last");
  assert(peer.nextIndex <= log.lastIndex + 1, "(6) next ≤ last + 1");
  assert(peer.state === "replicate" || peer.inflight.count === 0, "(6) only replicate sends ahead");
  assert(peer.inflight.count > 0 || peer.inflight.bytes === 0, "(6) empty flights weigh nothing");
}
