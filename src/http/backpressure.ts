/**
 * Clients who ask again at once, although they were told to wait: their connections are left unread for that time, so what they send stays
 * with them, and TCP slows them down. Refusing is cheap beside a write, but not beside a read that is answered from memory: without this, a
 * storm of reads has the processor busy with refusals alone.
 *
 * Who waits as told does not notice. A connection that renewals come by is always read: they must not wait for what others ask on it.
 */

import type { Socket } from "node:net";

export interface BackpressureLimits {
  /** Those who are turned away are told to wait for a time between these, or they would all come back together. Milliseconds. */
  readonly retryAfterMsMin: number;
  readonly retryAfterMsMax: number;
  /** For how long a connection that something vital came by is always read, milliseconds. */
  readonly vitalMs: number;
}

/**
 * A renewal on a connection that none came by lately may wait for the longest of these times, which is a small part of the default TTL of
 * 30 s; and `vitalMs` has room for several of its renewals.
 */
export const defaultBackpressureLimits: BackpressureLimits = {
  retryAfterMsMin: 1_000,
  retryAfterMsMax: 4_000,
  vitalMs: 60_000,
};

export class Backpressure {
  readonly #limits: BackpressureLimits;
  readonly #random: () => number;
  readonly #vitalAtMs = new WeakMap<Socket, number>();
  readonly #unread = new Set<Socket>();

  constructor(limits: BackpressureLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** How many connections are left unread now. */
  get unread(): number {
    return this.#unread.size;
  }

  /** Something came by this connection that must never wait for long. */
  vital(socket: Socket): void {
    this.#vitalAtMs.set(socket, performance.now());
  }

  /** How long a client is told to wait. */
  drawWaitMs(): number {
    const { retryAfterMsMin: min, retryAfterMsMax: max } = this.#limits;
    return Math.floor(min + this.#random() * (max - min));
  }

  /** Once a refusal has been sent there, whose client was told to wait for so long. */
  refused(socket: Socket, waitMs: number): void {
    if (socket.destroyed || this.#unread.has(socket) || this.#isVital(socket)) return;
    this.#unread.add(socket);
    // At once, because while more than a thousand connections have something the loop reads many times over before it does anything else;
    // and again at the end of the turn, because Node reads on by itself where it drops a body that nobody wants.
    socket.pause();
    setImmediate(() => this.#unread.has(socket) && socket.pause());
    const readAgain = (): void => {
      clearTimeout(timer);
      socket.off("close", readAgain);
      this.#unread.delete(socket);
      if (!socket.destroyed) socket.resume();
    };
    const timer = setTimeout(readAgain, waitMs);
    timer.unref();
    // Connections that come and go are more than are ever open: nothing is kept of those that have gone.
    socket.once("close", readAgain);
  }

  #isVital(socket: Socket): boolean {
    const atMs = this.#vitalAtMs.get(socket);
    return atMs !== undefined && performance.now() - atMs < this.#limits.vitalMs;
  }
}
