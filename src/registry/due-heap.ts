/**
 * Which slot is due first: a binary heap of slots (small whole numbers) by time, in which a slot's time can be changed.
 *
 * Not lazy and without rules of its own; slots with equal times are ordered by `compareTies`, so that every member finds the same first.
 */

export class DueHeap {
  readonly #compareTies: (left: number, right: number) => number;
  #heap: number[] = [];
  /** Where each slot stands in the heap; -1 for not at all. */
  #positions = new Int32Array(0);
  #times = new Float64Array(0);

  constructor(compareTies: (left: number, right: number) => number) {
    this.#compareTies = compareTies;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The slot that is due first; -1 for none. */
  first(): number {
    return this.#heap[0] ?? -1;
  }

  /** The time under which the slot is in the heap. Meaningless for a slot that is not. */
  timeOf(slot: number): number {
    return this.#times[slot] ?? 0;
  }

  has(slot: number): boolean {
    return (this.#positions[slot] ?? -1) >= 0;
  }

  /** Adds the slot, or moves it; also to be called when its order among equals has changed. */
  set(slot: number, time: number): void {
    this.#makeRoom(slot);
    this.#times[slot] = time;
    let position = this.#positions[slot] ?? -1;
    if (position < 0) {
      position = this.#heap.length;
      this.#heap.push(slot);
      this.#positions[slot] = position;
    }
    this.#sink(this.#rise(position));
  }

  delete(slot: number): void {
    const position = this.#positions[slot] ?? -1;
    if (position < 0) return;
    this.#positions[slot] = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === slot) return;
    this.#place(last, position);
    this.#sink(this.#rise(position));
  }

  #isBefore(left: number, right: number): boolean {
    const difference = (this.#times[left] ?? 0) - (this.#times[right] ?? 0);
    return difference < 0 || (difference === 0 && this.#compareTies(left, right) < 0);
  }

  #rise(start: number): number {
    let position = start;
    const slot = this.#at(position);
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!this.#isBefore(slot, this.#at(parent))) break;
      this.#place(this.#at(parent), position);
      position = parent;
    }
    this.#place(slot, position);
    return position;
  }

  #sink(start: number): void {
    let position = start;
    const slot = this.#at(position);
    for (;;) {
      let child = 2 * position + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#isBefore(this.#at(child + 1), this.#at(child))) child += 1;
      if (!this.#isBefore(this.#at(child), slot)) break;
      this.#place(this.#at(child), position);
      position = child;
    }
    this.#place(slot, position);
  }

  #at(position: number): number {
    return this.#heap[position] ?? -1;
  }

  #place(slot: number, position: number): void {
    this.#heap[position] = slot;
    this.#positions[slot] = position;
  }

  #makeRoom(slot: number): void {
    if (slot < this.#positions.length) return;
    const size = Math.max(256, 2 * this.#positions.length, slot + 1);
    const positions = new Int32Array(size).fill(-1);
    positions.set(this.#positions);
    this.#positions = positions;
    const times = new Float64Array(size);
    times.set(this.#times);
    this.#times = times;
  }
}
