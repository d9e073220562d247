/**
 * Decides at the door, before a request is read any further than its first line, whether it is let in. Refusing early and cheaply is what
 * keeps the rest quick; a renewal that is refused may cost an instance its place, so those go last.
 *
 * Two bounds: places, of which some are kept for what is vital; and pressure (pressure.ts), under which whole classes of requests are
 * turned away in part, those first that matter least. Watches and requests that wait for a change are counted by the watch hub once
 * they are in.
 */

import type { LoadClass } from "./policy.ts";
import { pressureMax } from "./pressure.ts";

export interface AdmissionLimits {
  readonly requestsMax: number;
  /** Of these, so many are kept for renewals and deregistrations. */
  readonly reserved: number;
  /**
   * While fewer than these are under way, or were in this turn of the loop, nobody is turned away for the pressure: it is then not clients
   * who keep the loop busy but the member's own work, such as catching up after a start, and turning away the few who ask would relieve
   * nothing. Those of this turn count because a read is over within it, so that hundreds in a turn are never under way together.
   */
  readonly servedAnyway: number;
}

export const defaultAdmissionLimits: AdmissionLimits = {
  requestsMax: 10_000,
  reserved: 2_000,
  servedAnyway: 16,
};

interface Shedding {
  /** From this level of pressure on a class is turned away in part ... */
  readonly from: number;
  /** ... and from this one altogether. */
  readonly all: number;
}

/**
 * A burst that is over in a moment, such as the first requests to a process that has not compiled its code yet, stays below all of them.
 * At every level no class is served less than one that ranks below it; but reads are not starved by registrations, since many of them
 * cost no more than one.
 */
const shedding: Readonly<Record<LoadClass, Shedding>> = {
  list: { from: 0.5, all: 1.5 },
  read: { from: 1, all: pressureMax },
  registration: { from: 1.5, all: pressureMax },
  vital: { from: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY },
};

/** Gives the place back; may be called more than once. */
type Leave = () => void;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #random: () => number;
  #underWay = 0;
  /** Over within this turn of the loop. */
  #overInTurn = 0;
  #peak = 0;

  constructor(limits: AdmissionLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** The most that were under way since this was asked last; those that were over within a turn of the loop count until its end. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.#underWay;
    return peak;
  }

  /** Takes a place; null when the request must be turned away. */
  enter(loadClass: LoadClass, pressure: number): Leave | null {
    const { requestsMax, reserved, servedAnyway } = this.#limits;
    const places = loadClass === "vital" ? requestsMax : requestsMax - reserved;
    if (this.#underWay >= places) return null;
    if (this.#underWay + this.#overInTurn >= servedAnyway && this.#isShed(loadClass, pressure)) return null;
    this.#underWay += 1;
    this.#peak = Math.max(this.#peak, this.#underWay + this.#overInTurn);
    let isInside = true;
    return () => {
      if (isInside) this.#leave();
      isInside = false;
    };
  }

  #leave(): void {
    this.#underWay -= 1;
    if (this.#overInTurn === 0) setImmediate(() => (this.#overInTurn = 0));
    this.#overInTurn += 1;
  }

  #isShed(loadClass: LoadClass, pressure: number): boolean {
    const { from, all } = shedding[loadClass];
    return pressure > from && this.#random() < (pressure - from) / (all - from);
  }
}
