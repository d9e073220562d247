/**
 * Which member of the cluster to ask next. A client stays with one (its connections are warm, and it reads its own writes there) until that one
 * fails, and then leaves it alone for a while.
 */

import type { Clock } from "./clock.ts";

const firstRestMs = 500;
const maxRestMs = 8_000;

interface Member {
  readonly url: string;
  failures: number;
  /** Not asked before then, unless all the others are resting longer. */
  restsUntil: number;
}

export class Members {
  readonly #members: readonly [Member, ...Member[]];
  readonly #clock: Clock;
  readonly #random: () => number;
  #current: Member;

  /** @param urls `http://HOST:PORT` or `https://...`; a path is kept as a prefix. At least one. */
  constructor(urls: readonly string[], clock: Clock, random: () => number) {
    const [first, ...others] = [...new Set(urls.map(withoutSlash))].map((url) => newMember(url));
    if (first === undefined) {
      throw new TypeError(
        "servers is empty: give at least one member's URL, such as http://127.0.0.1:7401 (all of them is better)",
      );
    }
    this.#members = [first, ...others];
    this.#clock = clock;
    this.#random = random;
    // Any member answers, so clients that all have the same list still spread over it.
    this.#current = this.#any(this.#members);
  }

  get count(): number {
    return this.#members.length;
  }

  pick(): string {
    const now = this.#clock.now();
    if (this.#current.restsUntil > now) {
      const rested = this.#members.filter((member) => member.restsUntil <= now);
      this.#current = rested.length > 0 ? this.#any(rested) : this.#soonest();
    }
    return this.#current.url;
  }

  failed(url: string): void {
    const member = this.#find(url);
    const rest = Math.min(maxRestMs, firstRestMs * 2 ** Math.min(member.failures, 10));
    member.failures += 1;
    member.restsUntil = this.#clock.now() + rest;
  }

  succeeded(url: string): void {
    const member = this.#find(url);
    member.failures = 0;
    member.restsUntil = Number.NEGATIVE_INFINITY;
  }

  #soonest(): Member {
    return this.#members.reduce((a, b) => (b.restsUntil < a.restsUntil ? b : a));
  }

  #any(members: readonly Member[]): Member {
    return members[Math.floor(this.#random() * members.length)] ?? this.#members[0];
  }

  #find(url: string): Member {
    return this.#members.find((member) => member.url === url) ?? this.#members[0];
  }
}

function newMember(url: string): Member {
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw new TypeError(`servers: "${url}" is not a URL such as http://127.0.0.1:7401`);
  }
  return { url, failures: 0, restsUntil: Number.NEGATIVE_INFINITY };
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
