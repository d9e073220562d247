/**
 * The one mailbox: inputs for the core are collected, stepped together in one turn, and the effects carried out in order.
 *
 * Nothing else calls the core's `step`. A turn runs in a later round of the loop than what caused it, so that everything that arrived
 * together is handled together: one group of entries, one write, one message a peer.
 */

import type { Effect, Input, RaftEvent, RejectReason } from "../raft/io.ts";
import type { RaftCore } from "../raft/raft-core.ts";
import type { Entry, EntryId, Index, NodeId, SnapshotMeta } from "../raft/types.ts";
import type { Message } from "../raft/messages.ts";
import type { Clock, Scheduler } from "./ports.ts";
import type { StorageLane } from "./storage-lane.ts";

/** An input without its time: the driver reads the clock once a turn. */
export type TimelessInput = Input extends infer Each
  ? Each extends Input
    ? Omit<Each, "nowMs">
    : never
  : never;

/** What the rest of the replica does for the core. */
export interface RaftHandlers {
  /** Runs at the start of each turn: the place to step proposals that were collected. */
  beforeTurn(): void;
  /** Runs at the end of each turn, when all effects have been carried out. */
  afterTurn(): void;
  apply(entries: readonly Entry[]): void;
  proposalAppended(ctx: number, entry: EntryId): void;
  proposalRejected(ctx: number, reason: RejectReason): void;
  readReady(ctx: number, index: Index): void;
  readFailed(ctx: number): void;
  offerSnapshot(to: NodeId): void;
  fetchSnapshot(from: NodeId, meta: SnapshotMeta): void;
  compactLog(effect: Extract<Effect, { kind: "compactLog" }>): void;
  recovered(effect: Extract<Effect, { kind: "recovered" }>): void;
  event(event: RaftEvent): void;
  /** An invariant broke: a replica that guesses diverges, so this member ends here. */
  fatal(error: unknown): void;
}

export class RaftDriver {
  readonly core: RaftCore;
  readonly #lane: StorageLane;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #handlers: RaftHandlers;
  #mailbox: TimelessInput[] = [];
  #tasks: (() => void)[] = [];
  #turnScheduled = false;
  #stopped = false;
  #nowMs: number;
  #previousTurnMs: number;

  constructor(options: {
    readonly core: RaftCore;
    readonly lane: StorageLane;
    readonly clock: Clock;
    readonly scheduler: Scheduler;
    readonly handlers: RaftHandlers;
  }) {
    this.core = options.core;
    this.#lane = options.lane;
    this.#clock = options.clock;
    this.#scheduler = options.scheduler;
    this.#handlers = options.handlers;
    this.#nowMs = options.clock.monotonicMs();
    this.#previousTurnMs = this.#nowMs;
  }

  /** The monotonic time of the turn under way, or of the last one. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /**
   * Whatever happened before this moment was seen by the turn under way, or by the last one; what is not known yet, happened later. A
   * turn that comes late says so, and nothing else is blamed for it.
   */
  get unreadSinceMs(): number {
    return this.#previousTurnMs;
  }

  /** Takes an input in the next turn. */
  enqueue(input: TimelessInput): void {
    // Mostly it is the only one of its turn. A list made of it has room for it; one that grows to it, for sixteen more.
    if (this.#mailbox.length === 0) this.#mailbox = [input];
    else this.#mailbox.push(input);
    this.wake();
  }

  receive(message: Message): void {
    this.enqueue({ kind: "message", message });
  }

  /** Asks for a turn even without an input: something waits in `beforeTurn`. */
  wake(): void {
    if (this.#turnScheduled || this.#stopped) return;
    this.#turnScheduled = true;
    this.#scheduler.soon(this.#turn);
  }

  /** Runs a task in the next turn, where it may call `step`. */
  inTurn(task: () => void): void {
    this.#tasks.push(task);
    this.wake();
  }

  /** Steps one input at once. Only from within a turn. */
  step(input: TimelessInput): void {
    const nowMs = this.#nowMs;
    // Nearly all inputs are of these kinds, and an object of a known shape costs a fraction of a copy of any.
    if (input.kind === "message") {
      const { message } = input;
      this.core.step({ kind: "message", nowMs, unreadSinceMs: this.#previousTurnMs, message });
    } else if (input.kind === "tick") {
      const { leasesExist } = input;
      this.core.step({ kind: "tick", nowMs, leasesExist });
    } else if (input.kind === "stored") this.core.step({ kind: "stored", nowMs, seq: input.seq });
    else if (input.kind === "applied") this.core.step(input);
    else this.core.step({ ...input, nowMs } as Input);
  }

  stop(): void {
    this.#stopped = true;
    this.#mailbox = [];
  }

  readonly #turn = (): void => {
    this.#turnScheduled = false;
    if (this.#stopped) return;
    try {
      this.#previousTurnMs = this.#nowMs;
      this.#nowMs = this.#clock.monotonicMs();
      const tasks = this.#tasks;
      this.#tasks = [];
      for (const task of tasks) task();
      this.#handlers.beforeTurn();
      const inputs = this.#mailbox;
      this.#mailbox = [];
      for (const input of inputs) this.step(input);
      this.#carryOutEffects();
      this.#handlers.afterTurn();
    } catch (error) {
      this.stop();
      this.#handlers.fatal(error);
    }
  };

  /** Carrying out one effect may make others: an applied entry frees the next page. */
  #carryOutEffects(): void {
    for (let effects = this.core.takeEffects(); effects.length > 0; effects = this.core.takeEffects()) {
      for (const effect of effects) this.#carryOut(effect);
    }
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "persist":
        return this.#lane.persist(effect);
      case "send":
        return this.#lane.send(effect.message, effect.afterSeq);
      case "apply":
        return this.#handlers.apply(effect.entries);
      case "proposalAppended":
        return this.#handlers.proposalAppended(effect.ctx, effect.entry);
      case "proposalRejected":
        return this.#handlers.proposalRejected(effect.ctx, effect.reason);
      case "readReady":
        return this.#handlers.readReady(effect.ctx, effect.index);
      case "readFailed":
        return this.#handlers.readFailed(effect.ctx);
      case "sendSnapshot":
        return this.#handlers.offerSnapshot(effect.to);
      case "fetchSnapshot":
        return this.#handlers.fetchSnapshot(effect.from, effect.meta);
      case "compactLog":
        return this.#handlers.compactLog(effect);
      case "recovered":
        return this.#handlers.recovered(effect);
      case "event":
        return this.#handlers.event(effect.event);
    }
  }
}
