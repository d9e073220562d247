/**
 * Bounds how many requests are under way at once, and keeps room for those that matter most: a renewal that is refused may cost an
 * instance its place, and a deregistration sends clients away from what is going down.
 *
 * Refuses before the body is read. Watches and requests that wait for a change are counted by the watch hub instead.
 */

import type { IncomingMessage } from "node:http";
import { RollcallError } from "../lib/errors.ts";

export interface AdmissionLimits {
  readonly requestsMax: number;
  /** Of these, so many are kept for renewals and deregistrations. */
  readonly reserved: number;
}

export const defaultAdmissionLimits: AdmissionLimits = { requestsMax: 10_000, reserved: 2_000 };

export class Admission {
  readonly #limits: AdmissionLimits;
  #underWay = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Takes a place; returns how to give it back, which may be called more than once. Throws `overloaded` when there is none. */
  enter(request: IncomingMessage): () => void {
    const { requestsMax, reserved } = this.#limits;
    const places = isPreferred(request) ? requestsMax : requestsMax - reserved;
    if (this.#underWay >= places)
      throw new RollcallError(
        "overloaded",
        `This member is already working on ${this.#underWay} requests. Ask another one, or try again shortly.`,
      );
    this.#underWay += 1;
    let isInside = true;
    return () => {
      if (isInside) this.#underWay -= 1;
      isInside = false;
    };
  }
}

function isPreferred({ method, url = "" }: IncomingMessage): boolean {
  if (method === "DELETE") return true;
  return method === "POST" && /\/(?:renew|renewals)(?:\?|$)/.test(url);
}
