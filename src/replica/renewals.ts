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
import type { WriteEnd } from "./write-queue.ts";

interface Collected {
  readonly handle: number;
  readonly renewal: Renewal;
  readonly ttlMs: number;
  readonly deadlineMs: number;
  readonly end: (result: RenewalResult) => void;
}

export interface RenewalsOptions {
  readonly registry: () => RegistryView;
  readonly scheduler: Scheduler;
  readonly windowMs: number;
  readonly perCommandMax: number;
  readonly nowMs: () => number;
  /** Queues a command that need not wait for this member's own apply. */
  readonly submit: (command: Command, deadlineMs: number, end: (end: WriteEnd) => void) => void;
}

export class Renewals {
  readonly #options: RenewalsOptions;
  #collected: Collected[] = [];
  #windowOpen = false;

  constructor(options: RenewalsOptions) {
    this.#options = options;
  }

  /** Renews one lease; `end` is called once, after commit. */
  renew(renewal: Renewal, timeoutMs: number, end: (result: RenewalResult) => void): void {
    const deadlineMs = this.#options.nowMs() + timeoutMs;
    const instance = this.#options.registry().instance(renewal.key);
    const isCurrent =
      instance !== null && (renewal.incarnation ?? instance.incarnation) === instance.incarnation;
    if (!isCurrent || renewal.status !== null) return this.#renewByName(renewal, deadlineMs, end);
    this.#collect({ handle: instance.incarnation, renewal, ttlMs: instance.declared.ttlMs, deadlineMs, end });
  }

  #collect(collected: Collected): void {
    this.#collected.push(collected);
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
    const deadlineMs = Math.max(...collected.map((each) => each.deadlineMs));
    const command: Command = { kind: "renew", handles: collected.map((each) => each.handle) };
    this.#options.submit(command, deadlineMs, (end) => this.#batchEnded(collected, end));
  }

  #batchEnded(collected: readonly Collected[], end: WriteEnd): void {
    if (end.kind === "error") return collected.forEach((each) => each.end(failedRenewal(end.error)));
    const renewed = renewedOf(end.result);
    collected.forEach((each, position) => {
      if (renewed[position] === true) each.end({ ok: true, incarnation: each.handle, ttlMs: each.ttlMs });
      else this.#renewByName(each.renewal, each.deadlineMs, each.end);
    });
  }

  #renewByName(renewal: Renewal, deadlineMs: number, end: (result: RenewalResult) => void): void {
    const { key, incarnation, status } = renewal;
    const command: Command = { kind: "renewOne", ...key, incarnation, status };
    this.#options.submit(command, deadlineMs, (ended) => end(renewalResult(ended)));
  }
}

function renewedOf(result: CommandResult): readonly boolean[] {
  return result.ok && result.kind === "renew" ? result.renewed : [];
}

function renewalResult(end: WriteEnd): RenewalResult {
  if (end.kind === "error") return failedRenewal(end.error);
  const { result } = end;
  if (!result.ok) return { ok: false, code: result.code, detail: result.detail };
  if (result.kind === "renewOne") return { ok: true, incarnation: result.incarnation, ttlMs: result.ttlMs };
  return failedRenewal(new RollcallError("internal", `a renewal was answered as a ${result.kind}`));
}

function failedRenewal(error: RollcallError): RenewalResult {
  return { ok: false, code: error.code, detail: error.message };
}
