/**
 * The effects of the steps taken since the driver last asked, in order.
 *
 * All writes of one turn become one `persist`: its effect stays open until it is taken, and later changes join it. That makes a group
 * commit of a turn's proposals, and it makes a term change and the entries of that term durable together.
 */

import { assert } from "./assert.ts";
import type { Effect, RaftEvent } from "./io.ts";
import type { Message } from "./messages.ts";
import type { Entry, HardState, Index } from "./types.ts";

interface OpenPersist {
  readonly kind: "persist";
  readonly seq: number;
  hardState: HardState | null;
  truncateAfter: Index | null;
  readonly entries: Entry[];
}

export class Outbox {
  #effects: Effect[] = [];
  #open: OpenPersist | null = null;
  #lastSeq = 0;
  #storedSeq = 0;

  /** The newest sequence number given out; whatever waits for it waits for everything written so far. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  get storedSeq(): number {
    return this.#storedSeq;
  }

  take(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    this.#open = null;
    return effects;
  }

  push(effect: Effect): void {
    // Mostly it is the only one: a list made of it has room for it, and one that grows to it for sixteen more.
    if (this.#effects.length === 0) this.#effects = [effect];
    else this.#effects.push(effect);
  }

  event(event: RaftEvent): void {
    this.push({ kind: "event", event });
  }

  /** Queues a message that must not be seen before the write `afterSeq` is durable. */
  send(message: Message, afterSeq: number): void {
    assert(afterSeq <= this.#lastSeq, "a message waits only for writes that were ordered");
    this.push({ kind: "send", message, afterSeq: afterSeq > this.#storedSeq ? afterSeq : 0 });
  }

  persistHardState(hardState: HardState): number {
    const persist = this.#persist();
    persist.hardState = hardState;
    return persist.seq;
  }

  /** Cuts the log after `truncateAfter`, if not null, and appends, as one atomic write. */
  persistEntries(truncateAfter: Index | null, entries: readonly Entry[]): number {
    // Within one persist the cut comes before the entries. So a cut of entries that are still in the open one needs a new one.
    if (truncateAfter !== null && this.#open !== null && this.#open.entries.length > 0) this.#open = null;
    const persist = this.#persist();
    if (truncateAfter !== null)
      persist.truncateAfter = Math.min(persist.truncateAfter ?? truncateAfter, truncateAfter);
    for (const entry of entries) persist.entries.push(entry);
    return persist.seq;
  }

  /** A sequence number for a write of another kind, in the same lane. */
  nextSeq(): number {
    this.#open = null;
    this.#lastSeq += 1;
    return this.#lastSeq;
  }

  stored(seq: number): void {
    assert(seq <= this.#lastSeq, "only writes that were ordered can be stored");
    this.#storedSeq = Math.max(this.#storedSeq, seq);
  }

  #persist(): OpenPersist {
    if (this.#open === null) {
      this.#open = {
        kind: "persist",
        seq: this.nextSeq(),
        hardState: null,
        truncateAfter: null,
        entries: [],
      };
      this.push(this.#open);
    }
    return this.#open;
  }
}
