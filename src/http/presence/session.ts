/**
 * One open connection that instances hang on: it renews them while the client is heard, and proposes the break when the client is gone.
 *
 * Only what this member itself sees of the client counts: the end of its body, a broken connection, or silence. When the member stops, it
 * lets go of the connection without a word to the cluster, and the client comes back elsewhere within the TTL.
 */

import type { ServerResponse } from "node:http";
import type { Logger } from "../../observability/logger.ts";
import type { PresenceChange } from "../../registry/commands.ts";
import type { RegistryMember, RenewalResult } from "../../replica/member.ts";
import { timeouts } from "../parameters.ts";

export interface PresenceLimits {
  /** A client that is not heard for so long is gone. It should send a line at least every 10 s. */
  readonly silenceMsMax: number;
  /** How often silence and due renewals are looked at, at least. */
  readonly lookEveryMs: number;
}

export type PresentInstance = PresenceChange["instances"][number];

export interface PresenceSessionOptions {
  readonly member: RegistryMember;
  readonly logger: Logger;
  readonly limits: PresenceLimits;
  readonly response: ServerResponse;
  readonly connection: number;
  /** Those that were attached. */
  readonly instances: readonly PresentInstance[];
  readonly lingerMs: number;
  /** Called once, when the session is over, however it ended. */
  readonly ended: () => void;
}

export class PresenceSession {
  readonly #options: PresenceSessionOptions;
  #instances: readonly PresentInstance[];
  #heardAtMs = performance.now();
  #renewedAtMs = performance.now();
  /** The renewal that is under way; it never rejects. */
  #renewing: Promise<void> | null = null;
  #isOver = false;
  #timer: NodeJS.Timeout;

  constructor(options: PresenceSessionOptions) {
    this.#options = options;
    this.#instances = options.instances;
    this.#timer = this.#lookLater();
  }

  /** The client has sent a line. It gets one back, so that it too knows that the other side is there. */
  heard(): void {
    if (this.#isOver) return;
    this.#heardAtMs = performance.now();
    // Who takes nothing of what it is sent gets no more of it: it would pile up here.
    if (!this.#options.response.writableNeedDrain) this.#send({ type: "alive" });
  }

  /** The client is gone: the instances are suspect from now on, unless they have come back by another connection. */
  broke(reason: string): void {
    if (!this.#finish()) return;
    this.#options.response.end();
    void this.#proposeBreak(reason);
  }

  async #proposeBreak(reason: string): Promise<void> {
    // A renewal of this session that came after the break in the log would bring a dead client's instances back.
    await this.#renewing;
    const { member, logger, connection, lingerMs } = this.#options;
    const command = {
      kind: "presence",
      change: "break",
      instances: this.#instances,
      connection,
      lingerMs,
    } as const;
    try {
      await member.submit(command, { timeoutMs: timeouts.writeMsMax, idempotencyKey: null, by: null });
      logger.info({ connection, instances: this.#instances.length, reason }, "presence broke");
    } catch (err) {
      logger.warn({ connection, reason, err }, "a broken presence could not be proposed; leases decide");
    }
  }

  /** The member stops: nothing is said of the client, which comes back elsewhere. */
  release(): void {
    if (!this.#finish()) return;
    this.#send({ type: "goaway" });
    this.#options.response.end();
  }

  #lookLater(): NodeJS.Timeout {
    const untilMs = Math.min(this.#options.limits.lookEveryMs, Math.ceil(this.#renewEveryMs()));
    return setTimeout(() => {
      this.#look();
      if (!this.#isOver) this.#timer = this.#lookLater();
    }, untilMs);
  }

  #look(): void {
    const nowMs = performance.now();
    if (this.#isSilent(nowMs)) {
      // What came while this process stood still is read only after its timers: the silence may have been its own.
      setImmediate(() => this.#isSilent(performance.now()) && this.broke("silence"));
      return;
    }
    const isDue =
      nowMs - this.#renewedAtMs >= this.#renewEveryMs() || this.#instances.some((key) => !this.#isHere(key));
    if (this.#renewing !== null || !isDue) return;
    this.#renewing = this.#renew(nowMs).finally(() => (this.#renewing = null));
  }

  #isSilent(nowMs: number): boolean {
    return nowMs - this.#heardAtMs > this.#options.limits.silenceMsMax;
  }

  /** A third of the shortest TTL. */
  #renewEveryMs(): number {
    const { registry } = this.#options.member;
    const ttls = this.#instances.map(
      (key) => registry.instance(key)?.declared.ttlMs ?? Number.POSITIVE_INFINITY,
    );
    return Math.min(...ttls) / 3;
  }

  /** Whether it is still registered, as far as this member knows. If not, a renewal says so for sure, and to the client. */
  #isHere(key: PresentInstance): boolean {
    return this.#options.member.registry.instance(key)?.incarnation === key.incarnation;
  }

  async #renew(nowMs: number): Promise<void> {
    const renewals = this.#instances.map((key) => ({ key, incarnation: key.incarnation, status: null }));
    const results = await this.#options.member.renew(renewals, timeouts.writeMsDefault).catch(() => []);
    if (this.#isOver) return;
    // What failed for other reasons is tried again at the next look.
    if (results.length > 0 && results.every((result) => result.ok || isLost(result)))
      this.#renewedAtMs = nowMs;
    this.#instances = this.#instances.filter((key, i) => !this.#isGone(key, results[i]));
    if (this.#instances.length > 0) return;
    this.#finish();
    this.#options.response.end();
  }

  /** The registration is over: there is nothing left to keep, and the client must know. */
  #isGone({ namespace, service, id }: PresentInstance, result: RenewalResult | undefined): boolean {
    if (result === undefined || result.ok || !isLost(result)) return false;
    this.#send({ type: "lost", namespace, service, id, code: result.code });
    return true;
  }

  #send(line: object): void {
    this.#options.response.write(`${JSON.stringify(line)}\n`);
  }

  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#options.ended();
    return true;
  }
}

function isLost(result: RenewalResult): boolean {
  return !result.ok && (result.code === "not_registered" || result.code === "superseded");
}
