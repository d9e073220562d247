/**
 * The leader's clock, from which it stamps every entry: the only clock that the state machine sees (LogCabin's ClusterClock).
 *
 * It starts at the last stamp in the leader's log and runs at the rate of the leader's monotonic clock, but a single advance is at most
 * `stepMaxMs`: a process that was stopped, or a machine that slept, loses that time instead of jumping over everybody's leases. So
 * cluster time is a lower bound of the time that really passed, and no lease expires early. It also stands still for a grace after an
 * election, in which clients find the new leader.
 */

import type { RaftConfig } from "./config.ts";

export class ClusterClock {
  readonly #stepMaxMs: number;
  #stampMs: number;
  /** The driver's time up to which this clock has counted; in the future during the grace. */
  #countedToMs: number;

  constructor(options: {
    readonly stampMs: number;
    readonly nowMs: number;
    readonly graceMs: number;
    readonly stepMaxMs: number;
  }) {
    this.#stampMs = options.stampMs;
    this.#countedToMs = options.nowMs + options.graceMs;
    this.#stepMaxMs = options.stepMaxMs;
  }

  /** What a stamp would be now. */
  read(nowMs: number): number {
    return this.#stampMs + Math.min(this.#wholeMsSince(nowMs), this.#stepMaxMs);
  }

  /** Advances the clock and returns the stamp for the next entry. */
  advance(nowMs: number): number {
    const elapsedMs = this.#wholeMsSince(nowMs);
    this.#stampMs = this.read(nowMs);
    // What lies beyond the step is dropped; what is less than a millisecond is kept for the next advance.
    this.#countedToMs = elapsedMs > this.#stepMaxMs ? nowMs : this.#countedToMs + elapsedMs;
    return this.#stampMs;
  }

  /** Milliseconds that an entry stamped now would be ahead of the last stamp. */
  ageMs(nowMs: number): number {
    return this.read(nowMs) - this.#stampMs;
  }

  #wholeMsSince(nowMs: number): number {
    return Math.max(Math.floor(nowMs - this.#countedToMs), 0);
  }
}

/**
 * How long a new leader holds the clock still. A grace is given at most once per interval of cluster time, or frequent elections would
 * keep dead leases for ever; the graces given stand in the log, so that every leader knows.
 */
export function electionGraceMs(
  config: Pick<RaftConfig, "electionGraceMs" | "electionGraceIntervalMs">,
  situation: { readonly leasesExist: boolean; readonly lastStampMs: number; readonly lastGraceAt: number },
): number {
  const { leasesExist, lastStampMs, lastGraceAt } = situation;
  if (!leasesExist) return 0;
  const isDue = lastGraceAt < 0 || lastStampMs - lastGraceAt >= config.electionGraceIntervalMs;
  return isDue ? config.electionGraceMs : 0;
}

/**
 * Whether time has to be written into the log because nothing else was. It is done a tick early: one tick later the stamp might be
 * older than a single step may advance it, and an idle cluster's clock would fall behind a little each time.
 */
export function isClockEntryDue(
  config: Pick<RaftConfig, "clockEntryIntervalMs" | "tickMs">,
  ageMs: number,
): boolean {
  return ageMs > 0 && ageMs + config.tickMs > config.clockEntryIntervalMs;
}
