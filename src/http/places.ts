import type { ServerResponse } from "node:http";

/** A bounded number of places for those who stay long: each is taken until its response closes. */
export class Places {
  readonly #max: number;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Returns whether there was one. */
  take(response: ServerResponse): boolean {
    if (this.#taken >= this.#max) return false;
    // Who has already gone needs no place, and would never give it back.
    if (response.destroyed) return true;
    this.#taken += 1;
    response.once("close", () => (this.#taken -= 1));
    return true;
  }
}
