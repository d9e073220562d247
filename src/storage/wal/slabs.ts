/**
 * Copies of small pieces of bytes, many to one allocation: a buffer of its own costs several hundred bytes beside what is in it, which for
 * the entries of a log is more than the entries.
 *
 * A slab goes when all that is in it has gone. Entries go in the order in which they came, so that little is held up.
 */

/** Enough for the allocator to take it from the system and give it back there: among small things it would leave a hole. */
export const slabBytes = 256 * 1024;

export class Slabs {
  #slab = Buffer.alloc(0);
  #used = 0;

  copyOf(bytes: Uint8Array): Uint8Array {
    if (bytes.length > slabBytes / 4) return Uint8Array.from(bytes);
    if (this.#used + bytes.length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes.length;
    this.#slab.set(bytes, start);
    return this.#slab.subarray(start, this.#used);
  }
}
