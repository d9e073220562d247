/**
 * A peer sent bytes that this member will not read: its connection ends, and nothing else. Never thrown for a mistake of our own, so
 * that catching it cannot hide one.
 */
export class PeerProtocolError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "PeerProtocolError";
  }
}
