/**
 * Renewals, replicated and cheap: what arrives within a few milliseconds goes into one command of bare lease handles.
 *
 * A handle is the instance's incarnation, which this member looks up in its own applied state; a renewal that it cannot resolve, or whose
 * handle turns out to be over, goes by name instead, because only the state machine can say whether the instance is gone or taken.
 */

import { RollcallError } from "../lib/errors.ts";
import type { Command, CommandResult } from "../registry/commands.ts";
import type { RegistryView } from "../registry/view.ts";
import type { Renewal, RenewalResult } from "./member.ts";
import type { Scheduler } from "./ports.ts";
import type { WriteEnd } from "./pending-write.ts";

/** A renewal that has not been answered. It shares its way with others, but not its time. */
interface OpenRenewal {
  readonly renewal: Renewal;
  readonly deadlineMs: number;
  readonly end: (result: RenewalResult) => void;
}

interface Collected extends OpenRenewal {
  readonly handle: number;
}

export interface RenewalsOptions {
  readonly registry: () => RegistryView;
  readonly scheduler: Scheduler;
  readonly windowMs: number;
  readonly perCommandMax: number;
  /** Renewals that may be open at once. */
  readonly openMax: number;
  readonly nowMs: () => number;
  /** Queues a command that need not wait for this member's own apply. */
  readonly submit: (command: Command, deadlineMs: number, end: (end: WriteEnd) => void) => void;
}

export class Renewals {
  readonly #options: RenewalsOptions;
  readonly #open = new Set<OpenRenewal>();
  #collected: Collected[] = [];
  #windowOpen = false;

  constructor(options: RenewalsOptions) {
    this.#options = options;
  }

  /** How many have not ended yet. */
  get length(): number {
    return this.#open.size;
  }

  /** Renews one lease; `end` is called once, after commit or when its own time is over. */
  renew(renewal: Renewal, timeoutMs: number, end: (result: RenewalResult) => void): void {
    if (this.#open.size >= this.#options.openMax) return end(failedRenewal(tooManyOpen(this.#open.size)));
    const open = { renewal, deadlineMs: this.#options.nowMs() + timeoutMs, end };
    const instance = this.#options.registry().instance(renewal.key);
    const isCurrent =
      instance !== null && (renewal.incarnation ?? instance.incarnation) === instance.incarnation;
    if (isCurrent && renewal.status === null) this.#collect({ ...open, handle: instance.incarnation });
    else this.#renewByName(this.#opened(open));
  }

  /** Ends what has outlived its time: what was sent may yet renew the lease. */
  expire(nowMs: number): void {
    for (const open of this.#open) {
      if (open.deadlineMs > nowMs) continue;
      const detail = "the renewal was not committed in time; it may yet be. Renew again";
      this.#end(open, failedRenewal(new RollcallError("commit_timeout", detail, { outcome: "unknown" })));
    }
  }

  #opened<Each extends OpenRenewal>(open: Each): Each {
    this.#open.add(open);
    return open;
  }

  #end(open: OpenRenewal, result: RenewalResult): void {
    if (this.#open.delete(open)) open.end(result);
  }

  #collect(collected: Collected): void {
    this.#collected.push(this.#opened(collected));
    if (this.#collected.length >= this.#options.perCommandMax) return this.#closeWindow();
    if (this.#windowOpen) return;
    this.#windowOpen = true;
    this.#options.scheduler.after(this.#options.windowMs, () => this.#closeWindow());
  }

  #closeWindow(): void {
    const collected = this.#collected;
    this.#windowOpen = false;
    if (collected.length === 0) return;
    this.#collected = [];
    const deadlineMs = collected.reduce((latest, each) => Math.max(latest, each.deadlineMs), 0);
    const command: Command = { kind: "renew", handles: collected.map((each) => each.handle) };
    this.#options.submit(command, deadlineMs, (end) => this.#batchEnded(collected, end));
  }

  #batchEnded(collected: readonly Collected[], end: WriteEnd): void {
    if (end.kind === "error") return collected.forEach((each) => this.#end(each, failedRenewal(end.error)));
    const ttls = ttlsOf(end.result);
    collected.forEach((each, position) => {
      const ttlMs = ttls[position] ?? 0;
      if (ttlMs > 0) this.#end(each, { ok: true, incarnation: each.handle, ttlMs });
      else if (this.#open.has(each)) this.#renewByName(each);
    });
  }

  #renewByName(open: OpenRenewal): void {
    const { key, incarnation, status } = open.renewal;
    const command: Command = { kind: "renewOne", ...key, incarnation, status };
    this.#options.submit(command, open.deadlineMs, (ended) => this.#end(open, renewalResult(ended)));
  }
}

function ttlsOf(result: CommandResult): readonly number[] {
  return result.ok && result.kind === "renew" ? result.ttlsMs : [];
}

function renewalResult(end: WriteEnd): RenewalResult {
  if (end.kind === "error") return failedRenewal(end.error);
  const { result } = end;
  if (!result.ok) return failedRenewal(new RollcallError(result.code, result.detail));
  if (result.kind === "renewOne") return { ok: true, incarnation: result.incarnation, ttlMs: result.ttlMs };
  return failedRenewal(new RollcallError("internal", `a renewal was answered as a ${result.kind}`));
}

function failedRenewal(error: RollcallError): RenewalResult {
  const { code, message: detail, outcome, retryAfterMs } = error;
  return { ok: false, code, detail, outcome, retryAfterMs };
}

function tooManyOpen(open: number): RollcallError {
  const detail = `${open} renewals are under way on this member already; renew again soon, or at another member`;
  return new RollcallError("overloaded", detail, { retryAfterMs: 500 });
}
