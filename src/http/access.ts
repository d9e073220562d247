/**
 * Who asks, and what they may. Without tokens everybody may do everything, which is the default: a registry inside a trusted network.
 *
 * A token is known by its SHA-256 alone. That is enough for something drawn at random, and quick; passwords would need more.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { AccessRight, AccessToken } from "../lib/access-token.ts";
import { RollcallError } from "../lib/errors.ts";
import type { Policy } from "./policy.ts";

/** A service that a request touches; with `isPrefix`, every service whose name begins so. */
export interface Touched {
  readonly namespace: string;
  readonly service: string;
  readonly isPrefix?: boolean;
}

/**
 * Whoever guesses is slowed down: so many wrong tokens from one address in the window, then 429. A right token is served all the same. One
 * client with an old token would otherwise cost everybody behind its proxy or on its host their leases, and what is drawn at random is
 * not guessed.
 */
export const failureLimits = { failuresMax: 20, windowMs: 60_000, addressesMax: 10_000 } as const;

/** One request's permission. */
export interface Grant {
  /** The token's name, for the history; null when everybody may. */
  readonly by: string | null;
  /** Throws `forbidden` when the token does not reach all of these. */
  mustReach(touched: readonly Touched[]): void;
  /** Throws `forbidden` when the token is limited to some services. */
  mustReachEverything(): void;
}

const everybody: Grant = { by: null, mustReach: () => {}, mustReachEverything: () => {} };

export class Access {
  /** Null: no tokens are asked for. */
  readonly #tokens: readonly AccessToken[] | null;
  readonly #nowMs: () => number;
  #failures = new Map<string, number>();
  #windowEndsMs = 0;

  constructor(tokens: readonly AccessToken[] | null, nowMs: () => number = () => performance.now()) {
    this.#tokens = tokens;
    this.#nowMs = nowMs;
  }

  /** Throws `unauthenticated`, `forbidden`, or `rate_limited` for a wrong token after too many. */
  grant(request: IncomingMessage, { right }: Policy): Grant {
    if (this.#tokens === null || right === "open") return everybody;
    const token = find(this.#tokens, bearer(request.headers.authorization));
    if (token === null) {
      const address = request.socket.remoteAddress ?? "";
      this.#checkFailures(address);
      this.#noteFailure(address);
      throw new RollcallError("unauthenticated", "The token is not one that this cluster knows.");
    }
    mustHave(token, right);
    return grantOf(token);
  }

  #checkFailures(address: string): void {
    const leftMs = this.#windowEndsMs - this.#nowMs();
    if (leftMs <= 0) this.#failures = new Map();
    else if ((this.#failures.get(address) ?? 0) >= failureLimits.failuresMax)
      throw new RollcallError("rate_limited", `Too many wrong tokens came from ${address}.`, {
        retryAfterMs: Math.ceil(leftMs),
      });
  }

  #noteFailure(address: string): void {
    if (this.#failures.size === 0) this.#windowEndsMs = this.#nowMs() + failureLimits.windowMs;
    // Beyond so many addresses the map says nothing about one of them any more, and would only grow.
    if (this.#failures.size < failureLimits.addressesMax || this.#failures.has(address))
      this.#failures.set(address, (this.#failures.get(address) ?? 0) + 1);
  }
}

function bearer(header: string | undefined): string {
  const token = /^Bearer +([\x21-\x7e]{1,1024})$/i.exec(header ?? "")?.[1];
  if (token !== undefined) return token;
  throw new RollcallError("unauthenticated", "This needs a token: send `Authorization: Bearer TOKEN`.");
}

/** Compares with every token, each in constant time, so that how long it takes says nothing about which one came close. */
function find(tokens: readonly AccessToken[], presented: string): AccessToken | null {
  const digest = createHash("sha256").update(presented).digest();
  let found: AccessToken | null = null;
  for (const token of tokens) if (timingSafeEqual(token.sha256, digest)) found = token;
  return found;
}

function mustHave({ name, rights }: AccessToken, right: AccessRight): void {
  if (!rights.includes(right))
    throw new RollcallError(
      "forbidden",
      `The token of "${name}" has no right to ${right}; it has: ${rights.join(", ")}.`,
    );
}

function grantOf(token: AccessToken): Grant {
  const { name, namespace, servicePrefix } = token;
  const refuse = (what: string): never => {
    const place = `services "${servicePrefix ?? ""}*" of ${namespace === null ? "any namespace" : `namespace "${namespace}"`}`;
    throw new RollcallError(
      "forbidden",
      `The token of "${name}" is limited to ${place}, and does not reach ${what}.`,
    );
  };
  return {
    by: name,
    mustReach: (touched) => {
      for (const one of touched)
        if (!reaches(token, one))
          refuse(`"${one.namespace}/${one.service}${one.isPrefix === true ? "*" : ""}"`);
    },
    mustReachEverything: () => {
      if (namespace !== null || servicePrefix !== null) refuse("everything");
    },
  };
}

function reaches({ namespace, servicePrefix }: AccessToken, touched: Touched): boolean {
  if (namespace !== null && namespace !== touched.namespace) return false;
  return servicePrefix === null || touched.service.startsWith(servicePrefix);
}
