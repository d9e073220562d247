/**
 * Whether this member should be sent requests: it follows a leader, has caught up, can write its disk, and its vote counts.
 */

import type { RaftStatus } from "../raft/io.ts";
import { stalenessUnknownMs } from "../raft/staleness.ts";
import type { NodeId } from "../raft/types.ts";
import type { ReadinessCheck } from "./member.ts";
import type { StorageFailure } from "./ports.ts";

export interface ReadinessFacts {
  readonly status: RaftStatus;
  readonly staleMs: number;
  readonly diskFull: boolean;
  /** What ended this member's part in the cluster; null while it takes part. */
  readonly diskFailure: StorageFailure | null;
  /** Whose lack of room keeps the registry from growing; null when it may grow. */
  readonly noRoomAt: NodeId | null;
  /** Age of the oldest unfinished write to the log, milliseconds. */
  readonly diskPendingMs: number;
  readonly diskStallMs: number;
  readonly stopping: boolean;
}

export function readinessChecks(facts: ReadinessFacts): ReadinessCheck[] {
  const { status } = facts;
  return [
    check("running", !facts.stopping, "this member is stopping"),
    check("leader", status.leader !== null, whyNoLeader(facts)),
    check(
      "caught-up",
      facts.staleMs < stalenessUnknownMs,
      `applied ${status.appliedIndex} of ${status.commitIndex} entries known to be committed, and has not caught up with a leader since its start`,
    ),
    diskCheck(facts),
    check("member", !status.removed, "this member was removed from the cluster"),
    check(
      "vote",
      !status.recovering,
      "this disk may have lost acknowledged entries; the vote counts again once the others have committed new ones without it",
    ),
  ];
}

/** A member that only refuses growth serves everybody else: it is ready, and says so. */
function diskCheck(facts: ReadinessFacts): ReadinessCheck {
  const problem = diskProblem(facts);
  if (problem !== null) return { name: "disk", ok: false, detail: problem };
  const { noRoomAt } = facts;
  const detail = `the disk of ${noRoomAt} has too little room, so registrations are refused; make room there`;
  return { name: "disk", ok: true, detail: noRoomAt === null ? "" : detail };
}

function whyNoLeader({ status, diskFailure }: ReadinessFacts): string {
  if (diskFailure !== null) return "this member follows nobody since its disk failed";
  return `no leader is known in term ${status.term}; are a majority of the voters ${status.membership.voters.join(", ")} up and reachable?`;
}

function check(name: string, ok: boolean, detail: string): ReadinessCheck {
  return { name, ok, detail: ok ? "" : detail };
}

function diskProblem(facts: ReadinessFacts): string | null {
  if (facts.diskFailure !== null)
    return `${facts.diskFailure.message}; this member votes, acknowledges and leads no more. Repair the disk, then restart this member; if its folder is lost, replace it: rollcall member replace ${facts.status.id}`;
  if (facts.diskFull) return "the disk is full; make room, writing goes on by itself";
  if (facts.diskPendingMs >= facts.diskStallMs)
    return `a write has been waiting for the disk for ${Math.round(facts.diskPendingMs)} ms`;
  return null;
}
