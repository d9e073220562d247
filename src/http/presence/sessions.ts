/** The open presence connections of this member. */

import { RollcallError } from "../../lib/errors.ts";
import type { Logger } from "../../observability/logger.ts";
import type { RegistryMember } from "../../replica/member.ts";
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
  readonly #open = new Set<PresenceSession>();
  #isStopped = false;

  constructor(member: RegistryMember, logger: Logger, limits: PresenceSessionsLimits) {
    this.#member = member;
    this.#logger = logger;
    this.#limits = limits;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Throws when no further connection can be taken. */
  checkRoom(): void {
    if (this.#isStopped)
      throw new RollcallError("unavailable", "This member is stopping. Connect to another one.");
    if (this.#open.size < this.#limits.sessionsMax) return;
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
