/**
 * What operators ask of the cluster: who is how far, a transfer of leadership, a change of membership. Only the leader can answer; the
 * other members pass the question on and say what came of it.
 */

import { RollcallError } from "../lib/errors.ts";
import type { MembershipChange } from "../raft/io.ts";
import type { RaftCore } from "../raft/raft-core.ts";
import type { NodeId } from "../raft/types.ts";
import { commandVersion } from "../registry/commands.ts";
import type { PeerNetwork, PeerOutcome, PeerReply, PeerRequest, PeerView, Scheduler } from "./ports.ts";
import type { ProposalEnd, Proposals } from "./proposals.ts";
import type { RaftDriver } from "./raft-driver.ts";

/** How an operator's request ended; null for success. */
export type AdminEnd = (error: RollcallError | null) => void;

/** How long a member waits for the leader's view before it shows its own. */
const clusterStatusWaitMs = 1000;
const noCommands = { version: commandVersion, envelopes: [] };

export interface AdminOptions {
  readonly self: NodeId;
  readonly version: string;
  readonly driver: RaftDriver;
  readonly proposals: Proposals;
  readonly peers: PeerNetwork;
  readonly scheduler: Scheduler;
  readonly nowMs: () => number;
  readonly tickMs: number;
  readonly transferWaitMs: number;
}

export class Admin {
  readonly #options: AdminOptions;

  constructor(options: AdminOptions) {
    this.#options = options;
  }

  /** All members as the leader sees them, or as this member does when no leader answers. */
  clusterStatus(end: (views: readonly PeerView[]) => void): void {
    const leader = this.#core.leader;
    if (leader === null || leader === this.#options.self) return end(this.#views());
    this.#options.peers.request(leader, { kind: "clusterStatus" }, clusterStatusWaitMs, (outcome) => {
      const reply = outcome.kind === "reply" ? outcome.reply : null;
      end(reply?.kind === "clusterStatus" ? reply.members : this.#views());
    });
  }

  /** To `to`, or to the most caught-up voter when null. Ends when this member follows the new leader, or is it. */
  transferLeadership(to: NodeId | null, timeoutMs: number, end: AdminEnd): void {
    const what = to === null ? "the transfer of leadership" : `the transfer of leadership to ${to}`;
    const { leader: from, term } = this.#core;
    // A leader has nothing to hand over to itself.
    if (to !== null && to === from) return end(null);
    const hasCome = (): boolean => {
      const { leader } = this.#core;
      if (leader === null) return false;
      return to === null ? leader !== from || this.#core.term > term : leader === to;
    };
    const deadlineMs = this.#options.nowMs() + timeoutMs;
    let refused: RollcallError | null = null;
    this.#atLeader(what, { kind: "transfer", to }, timeoutMs, (error) => (refused = error));
    this.#until(
      () => refused !== null || hasCome(),
      deadlineMs,
      (isOver) => end(refused ?? (isOver ? null : undecided(what, "it has not come about in time"))),
    );
  }

  /** Ends when the change is committed. */
  changeMembership(change: MembershipChange, timeoutMs: number, end: AdminEnd): void {
    const what = `the change of membership (${change.kind} ${change.id})`;
    this.#atLeader(what, { kind: "changeMembership", budgetMs: timeoutMs, change }, timeoutMs, end);
  }

  /** Does here what a request for the leader asks. */
  answer(
    request: Extract<PeerRequest, { kind: "transfer" | "changeMembership" | "clusterStatus" }>,
    reply: (reply: PeerReply) => void,
  ): void {
    switch (request.kind) {
      case "clusterStatus":
        return reply({ kind: "clusterStatus", members: this.#views() });
      case "transfer":
        return this.#transfer(request.to, reply);
      case "changeMembership":
        return this.#proposeMembership(request.change, request.budgetMs, reply);
    }
  }

  /**
   * Begins a transfer if this member leads others; ends when somebody else leads, when nobody is left who could, or after as long as a
   * stop may wait.
   */
  handOver(end: () => void): void {
    const { self, driver, transferWaitMs, nowMs } = this.#options;
    if (this.#core.leader !== self || !this.#isAnybodyThere()) return end();
    driver.enqueue({ kind: "transfer", to: null });
    const isOver = (): boolean => this.#isLedByAnother || !this.#isAnybodyThere();
    this.#until(isOver, nowMs() + transferWaitMs, () => end());
  }

  get #core(): RaftCore {
    return this.#options.driver.core;
  }

  get #isLedByAnother(): boolean {
    const { leader } = this.#core;
    return leader !== null && leader !== this.#options.self;
  }

  #isAnybodyThere(): boolean {
    const { self, peers } = this.#options;
    return this.#core.status.membership.voters.some((id) => id !== self && peers.connection(id).connected);
  }

  /** This member's own view: as leader of everybody's progress, elsewhere only of who is connected. */
  #views(): readonly PeerView[] {
    const { self, version, peers } = this.#options;
    const { status } = this.#core;
    const progress = new Map(status.peers.map((peer) => [peer.id, peer]));
    return status.membership.members.map(({ id }) => {
      if (id === self) return ownView(id, version, status);
      const connection = peers.connection(id);
      const peer = progress.get(id);
      return {
        id,
        reachable: peer?.recentlyActive ?? connection.connected,
        lastContactMs: rounded(peer?.lastContactMs ?? null),
        matchIndex: peer?.matchIndex ?? 0,
        appliedIndex: peer?.appliedIndex ?? 0,
        recovering: peer?.recovering ?? false,
        version: connection.version,
      };
    });
  }

  #atLeader(
    what: string,
    request: Extract<PeerRequest, { kind: "transfer" | "changeMembership" }>,
    timeoutMs: number,
    end: AdminEnd,
  ): void {
    const { leader } = this.#core;
    if (leader === null)
      return end(
        new RollcallError("no_leader", `${what} needs a leader, and there is none now; try again`, {
          retryAfterMs: 1000,
        }),
      );
    if (leader === this.#options.self)
      return this.answer(request, (reply) => end(adminError(what, { kind: "reply", reply })));
    this.#options.peers.request(leader, request, timeoutMs, (outcome) => end(adminError(what, outcome)));
  }

  /** Replies when another member leads, or when this one has given the transfer up and leads on. */
  #transfer(to: NodeId | null, reply: (reply: PeerReply) => void): void {
    const { self, driver, scheduler, tickMs, transferWaitMs, nowMs } = this.#options;
    if (this.#core.leader !== self)
      return reply({ kind: "rejected", reason: "notLeader", leader: this.#core.leader });
    const { voters } = this.#core.status.membership;
    if (to !== null && !voters.includes(to))
      return reply({ kind: "rejected", reason: "invalidChange", leader: self });
    driver.enqueue({ kind: "transfer", to });
    const isGivenUp = (): boolean => this.#core.leader === self && this.#core.status.transferringTo === null;
    // The core begins in the next turn.
    scheduler.after(tickMs, () =>
      this.#until(
        () => this.#isLedByAnother || isGivenUp(),
        nowMs() + transferWaitMs,
        (isOver) => {
          const { leader, status } = this.#core;
          if (isGivenUp()) reply({ kind: "rejected", reason: "notCaughtUp", leader });
          else if (!isOver) reply({ kind: "unknown" });
          else if (to === null || leader === to) reply({ kind: "done", index: status.commitIndex });
          else reply({ kind: "rejected", reason: "notLeader", leader });
        },
      ),
    );
  }

  #proposeMembership(change: MembershipChange, timeoutMs: number, reply: (reply: PeerReply) => void): void {
    const end = (proposalEnd: ProposalEnd): void => {
      if (proposalEnd.kind === "committed") reply({ kind: "done", index: proposalEnd.entry.index });
      else if (proposalEnd.kind === "rejected")
        reply({ kind: "rejected", reason: proposalEnd.reason, leader: this.#core.leader });
      else reply({ kind: "unknown" });
    };
    const ctx = this.#options.proposals.open({
      batch: noCommands,
      deadlineMs: this.#options.nowMs() + timeoutMs,
      end,
    });
    this.#options.driver.enqueue({ kind: "changeMembership", ctx, change });
  }

  /** Looks every tick. */
  #until(isOver: () => boolean, deadlineMs: number, end: (isOver: boolean) => void): void {
    const { scheduler, tickMs, nowMs } = this.#options;
    const look = (): void => {
      if (isOver()) return end(true);
      if (nowMs() >= deadlineMs) return end(false);
      scheduler.after(tickMs, look);
    };
    look();
  }
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

function ownView(id: NodeId, version: string, status: RaftCore["status"]): PeerView {
  const { durableIndex: matchIndex, appliedIndex, recovering } = status;
  return { id, reachable: true, lastContactMs: 0, matchIndex, appliedIndex, recovering, version };
}

function adminError(what: string, outcome: PeerOutcome): RollcallError | null {
  if (outcome.kind === "notSent")
    return new RollcallError(
      "unavailable",
      `${what} did not reach the leader: ${outcome.reason}; try again`,
      { retryAfterMs: 500 },
    );
  if (outcome.kind === "broken") return undecided(what, outcome.reason);
  const { reply } = outcome;
  if (reply.kind === "done") return null;
  if (reply.kind === "rejected") return refusal(what, reply.reason);
  return undecided(what, "it was not committed in time");
}

function undecided(what: string, why: string): RollcallError {
  return new RollcallError("commit_timeout", `${what} may yet take effect: ${why}. Look at GET /v1/cluster`, {
    outcome: "unknown",
  });
}

function refusal(what: string, reason: Extract<PeerReply, { kind: "rejected" }>["reason"]): RollcallError {
  switch (reason) {
    case "invalidChange":
      return new RollcallError(
        "conflict",
        `${what} does not fit the present membership; look at GET /v1/cluster`,
      );
    case "changeInProgress":
      return new RollcallError(
        "conflict",
        `${what} was refused: another change is under way; try again when it is done`,
      );
    case "notCaughtUp":
      return new RollcallError(
        "conflict",
        `${what} did not come about: the member has not caught up with the leader's log, or does not answer; try again`,
      );
    case "malformed":
      return new RollcallError(
        "internal",
        `${what} was not understood by the leader; do all members run the same version?`,
      );
    case "notLeader":
    case "termChanged":
    case "transferring":
    case "overloaded":
    case "notReady":
    case "stopped":
    case "expired":
      return new RollcallError("unavailable", `${what} was refused by the leader (${reason}); try again`, {
        retryAfterMs: 500,
      });
  }
}
