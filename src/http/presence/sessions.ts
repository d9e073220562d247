/** The open presence connections of this member. */

import type { ServerResponse } from "node:http";
import { RollcallError } from "../../lib/errors.ts";
import type { Logger } from "../../observability/logger.ts";
import type { RegistryMember } from "../../replica/member.ts";
import { Places } from "../places.ts";
import { PresenceSession, type PresenceLimits, type PresenceSessionOptions } from "./session.ts";

export interface PresenceSessionsLimits extends PresenceLimits {
  readonly sessionsMax: number;
}

export const defaultPresenceLimits: PresenceSessionsLimits = {
  silenceMsMax: 15_000,
  lookEveryMs: 1_000,
  sessionsMax: 10_000,
};

export class PresenceSessions {
  readonly #member: RegistryMember;
  readonly #logger: Logger;
  readonly #limits: PresenceSessionsLimits;
  readonly #places: Places;
  readonly #open = new Set<PresenceSession>();
  #isStopped = false;

  constructor(member: RegistryMember, logger: Logger, limits: PresenceSessionsLimits) {
    this.#member = member;
    this.#logger = logger;
    this.#limits = limits;
    this.#places = new Places(limits.sessionsMax);
  }

  get count(): number {
    return this.#open.size;
  }

  /** Takes a place until `response` closes, from before the client says which instances it is for. Throws when there is none. */
  takePlace(response: ServerResponse): void {
    if (this.#isStopped)
      throw new RollcallError("unavailable", "This member is stopping. Connect to another one.");
    if (!this.#places.take(response))
      throw new RollcallError(
        "overloaded",
        `This member already holds ${this.#limits.sessionsMax} presence connections. Connect to another one.`,
      );
  }

  start(
    options: Pick<PresenceSessionOptions, "response" | "connection" | "instances" | "lingerMs">,
  ): PresenceSession {
    const session: PresenceSession = new PresenceSession({
      ...options,
      member: this.#member,
      logger: this.#logger,
      limits: this.#limits,
      ended: () => this.#open.delete(session),
    });
    this.#open.add(session);
    if (this.#isStopped) session.release();
    return session;
  }

  /** Lets go of all connections, without proposing that anybody broke. */
  stop(): void {
    this.#isStopped = true;
    for (const session of this.#open) session.release();
  }
}
