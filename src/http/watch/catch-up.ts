/**
 * Replays the changes that a resumed watch has missed, piece by piece, as fast as its client reads: what it missed may be larger than
 * what may be buffered for it.
 */

import type { RegistryEvent } from "../../registry/commands.ts";
import type { EventsSince } from "../../registry/view.ts";

/** How much is joined into one piece, roughly. */
const pieceBytes = 128 * 1024;

export interface MissedChanges {
  eventsSince(revision: number): EventsSince;
  /** The change as it goes to the client; null when the filter leaves it out. */
  encode(event: RegistryEvent): string | null;
}

/** `live`: nothing is missing any more. `gap`: the changes are not all known any more. */
export type NextPiece = { readonly bytes: Buffer; readonly revision: number } | "live" | "gap";

export class CatchUp {
  readonly #source: MissedChanges;
  #revision: number;
  #events: readonly RegistryEvent[] = [];
  #position = 0;

  constructor(source: MissedChanges, afterRevision: number) {
    this.#source = source;
    this.#revision = afterRevision;
  }

  next(): NextPiece {
    if (this.#position === this.#events.length) {
      const events = this.#source.eventsSince(this.#revision);
      if (events === null) return "gap";
      if (events.length === 0) return "live";
      this.#events = events;
      this.#position = 0;
    }
    return this.#piece();
  }

  #piece(): NextPiece {
    let text = "";
    while (this.#position < this.#events.length && text.length < pieceBytes) {
      const event = this.#events[this.#position];
      if (event === undefined) break;
      text += this.#source.encode(event) ?? "";
      this.#revision = event.revision;
      this.#position += 1;
    }
    return { bytes: Buffer.from(text), revision: this.#revision };
  }
}
