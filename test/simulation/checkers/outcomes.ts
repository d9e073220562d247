/**
 * Outcomes never lie. A write that was answered is in the log, with that very answer; one that was refused as not applied never comes to
 * be; one that is unknown may go either way. And nothing is applied twice unless its client allowed it with an
 * idempotency key, or it is a mere renewal.
 *
 * Each attempt is told from all others by a name that it carries through the log (`by`).
 */

import type { RollcallError } from "../../../src/lib/errors.ts";
import type { Index } from "../../../src/raft/types.ts";
import type { CommandResult, Envelope } from "../../../src/registry/commands.ts";
import type { Violate } from "../violation.ts";

const checker = "outcomes";

interface Attempt {
  readonly mayRepeat: boolean;
  outcome: "open" | "answered" | "notApplied" | "unknown";
  /** Where it stands in the log, and what came of it there, as JSON. */
  readonly occurrences: { readonly index: Index; readonly result: string }[];
}

export class Outcomes {
  readonly #violate: Violate;
  readonly #attempts = new Map<string, Attempt>();
  /** Results by idempotency key: whatever repeats a key gets the first one's result. */
  readonly #results = new Map<string, string>();

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  begun(name: string, mayRepeat: boolean): void {
    this.#attempts.set(name, { mayRepeat, outcome: "open", occurrences: [] });
  }

  committed(index: Index, { by, idempotencyKey }: Envelope, result: CommandResult): void {
    if (by === null) return;
    const attempt = this.#attempts.get(by);
    if (attempt === undefined)
      return this.#violate(checker, `${by} is in the log at ${index}, and nobody asked for it`);
    const first = attempt.occurrences[0];
    const text = JSON.stringify(result);
    attempt.occurrences.push({ index, result: text });
    if (attempt.outcome === "notApplied")
      this.#violate(checker, `${by} was refused as not applied, and was committed at ${index}`);
    if (first !== undefined && !attempt.mayRepeat)
      this.#violate(
        checker,
        `${by} may not be repeated, and was committed at ${first.index} and again at ${index}`,
      );
    if (idempotencyKey !== null) this.#checkRepeat(by, idempotencyKey, text);
  }

  /** Returns the index at which this came of it. */
  answered(name: string, result: CommandResult): Index {
    const attempt = this.#attempts.get(name)!;
    attempt.outcome = "answered";
    const text = JSON.stringify(result);
    const found = attempt.occurrences.find((each) => each.result === text);
    if (found !== undefined) return found.index;
    this.#violate(
      checker,
      `${name} was answered ${text}, and the log says ${attempt.occurrences.map((each) => `${each.result} at ${each.index}`).join(", ") || "nothing"}`,
    );
    return 0;
  }

  refused(name: string, error: RollcallError): void {
    const attempt = this.#attempts.get(name)!;
    attempt.outcome = error.outcome === "unknown" ? "unknown" : "notApplied";
    const [first] = attempt.occurrences;
    if (attempt.outcome === "notApplied" && first !== undefined)
      this.#violate(
        checker,
        `${name} was refused as not applied (${error.message}), and is committed at ${first.index}`,
      );
  }

  /** The client lost touch. */
  lost(name: string): void {
    this.#attempts.get(name)!.outcome = "unknown";
  }

  #checkRepeat(name: string, key: string, text: string): void {
    const first = this.#results.get(key);
    if (first === undefined) this.#results.set(key, text);
    else if (first !== text)
      this.#violate(checker, `${name} repeats the key ${key}, and came to ${text} instead of ${first}`);
  }
}
