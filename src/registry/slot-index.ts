/**
 * Finds the slot of a lease by its handle: an open hash table (Knuth, TAOCP 3, 6.4, algorithms L and R) that holds nothing but numbers of slots,
 * since what each slot's handle is stands with the leases. A map from handles to objects takes ten times the memory.
 */

const placesMin = 64;

/** In a place where no slot is; slots are stored one higher. */
const free = 0;

export class SlotIndex {
  readonly #handleOf: (slot: number) => number;
  #places = new Int32Array(placesMin);
  #count = 0;

  /** @param handleOf The handle of a slot: it changes only while the slot is not in here. */
  constructor(handleOf: (slot: number) => number) {
    this.#handleOf = handleOf;
  }

  get count(): number {
    return this.#count;
  }

  /** The slot with this handle; -1 for none. */
  find(handle: number): number {
    return this.#at(this.#placeOf(handle)) - 1;
  }

  /** Adds a slot whose handle no other slot has. */
  add(slot: number): void {
    // At most three quarters full, so that a search ends soon.
    if ((this.#count + 1) * 4 > this.#places.length * 3) this.#grow();
    this.#places[this.#placeOf(this.#handleOf(slot))] = slot + 1;
    this.#count += 1;
  }

  /** To be called while the slot still has its handle. */
  delete(slot: number): void {
    let hole = this.#placeOf(this.#handleOf(slot));
    if (this.#at(hole) === free) return;
    this.#count -= 1;
    // Whoever a search would not find across the hole moves into it: nothing is left behind that would have to be searched through.
    for (let place = this.#after(hole); this.#at(place) !== free; place = this.#after(place)) {
      const home = this.#homeOf(this.#handleOf(this.#at(place) - 1));
      if (this.#distance(home, place) < this.#distance(hole, place)) continue;
      this.#places[hole] = this.#at(place);
      hole = place;
    }
    this.#places[hole] = free;
  }

  /** Where the handle's slot stands, or the free place where it would. */
  #placeOf(handle: number): number {
    let place = this.#homeOf(handle);
    while (this.#at(place) !== free && this.#handleOf(this.#at(place) - 1) !== handle)
      place = this.#after(place);
    return place;
  }

  /** Handles are revisions, often one after the other: the multiplication spreads them (Fibonacci hashing, TAOCP 3, 6.4). */
  #homeOf(handle: number): number {
    const mixed = Math.imul((handle | 0) ^ Math.floor(handle / 0x1_0000_0000), 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & (this.#places.length - 1);
  }

  #at(place: number): number {
    return this.#places[place] ?? free;
  }

  #after(place: number): number {
    return (place + 1) & (this.#places.length - 1);
  }

  #distance(from: number, to: number): number {
    return (to - from) & (this.#places.length - 1);
  }

  #grow(): void {
    const before = this.#places;
    this.#places = new Int32Array(before.length * 2);
    for (const stored of before) {
      if (stored !== free) this.#places[this.#placeOf(this.#handleOf(stored - 1))] = stored;
    }
  }
}
