/**
 * Read floors. A linearizable read sees everything that was committed before it was asked for, at whichever member, also one that has
 * just been resumed and believes to lead. A read with `minRevision` sees that revision. A read with `maxStaleMs` sees everything that
 * was committed so long ago.
 */

import { stalenessUnknownMs } from "../../../src/raft/staleness.ts";
import type { Index } from "../../../src/raft/types.ts";
import type { ReadOptions } from "../../../src/replica/member.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";
import type { CommittedLog } from "./committed-log.ts";
import type { ConfirmedRounds } from "./confirmed-rounds.ts";

export interface ReadFloor {
  readonly index: Index;
  readonly askedAtMs: number;
  readonly options: ReadOptions;
}

export class ReadFloors {
  readonly #violate: Violate;
  readonly #committed: CommittedLog;
  readonly #rounds: ConfirmedRounds;
  /** The slowest clock's milliseconds in one true millisecond. */
  readonly #slowestRate: number;
  /** How long ago a heartbeat that has just arrived may have been sent: no member can know that. */
  readonly #delayMaxMs: () => number;

  constructor(options: {
    readonly violate: Violate;
    readonly committed: CommittedLog;
    readonly rounds: ConfirmedRounds;
    readonly slowestRate: number;
    readonly delayMaxMs: () => number;
  }) {
    this.#violate = options.violate;
    this.#committed = options.committed;
    this.#rounds = options.rounds;
    this.#slowestRate = options.slowestRate;
    this.#delayMaxMs = options.delayMaxMs;
  }

  asked(options: ReadOptions, nowMs: number): ReadFloor {
    return { index: this.#committed.lastIndex, askedAtMs: nowMs, options };
  }

  /** The read is allowed now, on this member. */
  allowed(member: SimMember, floor: ReadFloor, nowMs: number): void {
    const { replica, appliedIndex } = member;
    if (replica === null) return;
    const { consistency, minRevision, maxStaleMs } = floor.options;
    if (consistency === "linearizable" && appliedIndex < floor.index)
      this.#violate(
        "linearizable read",
        `${member.id} had applied ${appliedIndex}, and ${floor.index} was committed before it was asked`,
      );
    if (consistency === "linearizable") this.#rounds.check(member, floor.askedAtMs, nowMs);
    if (minRevision !== null && replica.registry.revision < minRevision)
      this.#violate(
        "minRevision",
        `${member.id} had revision ${replica.registry.revision}, and ${minRevision} was asked for`,
      );
    const staleMs = replica.staleMs();
    if (maxStaleMs !== null && staleMs > maxStaleMs)
      this.#violate(
        "maxStaleMs",
        `${member.id} was ${staleMs} ms stale, and at most ${maxStaleMs} was asked for`,
      );
    if (staleMs === stalenessUnknownMs) return;
    const sinceMs = nowMs - staleMs / this.#slowestRate - this.#delayMaxMs() - 1;
    const index = this.#committed.indexAt(sinceMs);
    if (appliedIndex < index)
      this.#violate(
        "staleness",
        `${member.id} had applied ${appliedIndex} and claimed to be ${staleMs} ms stale, and ${index} was committed before that`,
      );
  }
}
