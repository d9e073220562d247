/**
 * Assertions that stay on in production.
 *
 * A broken invariant means that this member can no longer be trusted to keep its promises; the only safe answer is to stop it. Bad
 * input from the network is not a broken invariant: it is ignored, and an event says so.
 */

/** Thrown when the core contradicts itself, or the driver its contract. Never caught: the process ends. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** Throws `InvariantViolation` unless `condition` holds. `message` says what must hold, as a sentence. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}

/** The value, which the caller knows to exist. */
export function must<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new InvariantViolation(message);
  return value;
}
