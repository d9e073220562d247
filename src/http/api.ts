/**
 * What the endpoints work with: the running member and the helpers that live as long as it does, and the state of the process around it.
 */

import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { RegistryMember } from "../replica/member.ts";
import type { Access } from "./access.ts";
import type { Standstill } from "./given-up.ts";
import { AnswerCache } from "./answer-cache.ts";
import { Rotation } from "./ordering.ts";
import { PresenceSessions, type PresenceSessionsLimits } from "./presence/sessions.ts";
import { WatchHub, type WatchLimits } from "./watch/hub.ts";

export interface Api {
  readonly member: RegistryMember;
  readonly hub: WatchHub;
  readonly presence: PresenceSessions;
  /** How long the body of a request may take to arrive, milliseconds. */
  readonly bodyMs: number;
  /** Encoded answers to discovery. */
  readonly answers: AnswerCache;
  /** Where `order=roundRobin` stands, for each list. */
  readonly rotation: Rotation;
  /** In [0, 1). */
  readonly random: () => number;
  /** In [0, 1]: how far clients should slow down. */
  readonly load: () => number;
}

export interface ApiOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly random: () => number;
  readonly load: () => number;
  readonly watchLimits: WatchLimits;
  readonly presenceLimits: PresenceSessionsLimits;
  readonly bodyMs: number;
}

export function createApi(member: RegistryMember, options: ApiOptions): Api {
  return {
    member,
    hub: new WatchHub(member, options.watchLimits, options.metrics),
    presence: new PresenceSessions(member, options.logger, options.presenceLimits),
    bodyMs: options.bodyMs,
    answers: new AnswerCache(),
    rotation: new Rotation(),
    random: options.random,
    load: options.load,
  };
}

/** How the process stands. A member appears in it once it has found or formed its cluster. */
export interface ServerState {
  readonly metrics: Metrics;
  readonly access: Access;
  readonly standstill: Standstill;
  /** This member's name, known before the member runs. */
  readonly memberId: string;
  /** The document that describes this API. */
  readonly openapi: () => object;
  api: Api | null;
  /** What the member waits for, one line each, while there is no `api`. */
  waiting: readonly string[];
  /** Requests are still answered, on connections that end with the answer. */
  isStopping: boolean;
}
