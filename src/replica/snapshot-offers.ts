/**
 * Snapshots for members that are too far behind, on the leader's side: it offers a consistent view of its durable image, and hands it out in
 * chunks as the follower asks for them (paper §7). The other side is `snapshot-fetch.ts`.
 */

import type { NodeId, SnapshotMeta, Term } from "../raft/types.ts";
import type { ReplicaObserver } from "./observer.ts";
import type { Clock, ImageSource, PeerNetwork, StateStore, StorageFailure } from "./ports.ts";

interface Offer {
  readonly to: NodeId;
  readonly meta: SnapshotMeta;
  readonly source: ImageSource;
  lastReadMs: number;
  isBegun: boolean;
}

/**
 * An offer that nobody has begun to read after so long is made anew when it is to be repeated. Whoever still builds the state of the one
 * before takes none, and the image that comes next should not be as old as that: the log may no longer reach back to it.
 */
const unreadMsMax = 5_000;

export interface SnapshotOffersOptions {
  readonly self: NodeId;
  /** Makes the ids of this process's snapshots unlike those of any other. */
  readonly idPrefix: string;
  readonly state: StateStore;
  readonly peers: PeerNetwork;
  readonly clock: Clock;
  readonly observer: ReplicaObserver;
  readonly idleMs: number;
  /** The term that this member leads; null when it leads none (any more), and its own term may not even be durable. */
  readonly ledTerm: () => Term | null;
  readonly onSent: (to: NodeId, id: string, ok: boolean) => void;
  readonly onStorageFailed: (failure: StorageFailure) => void;
}

export class SnapshotOffers {
  readonly #options: SnapshotOffersOptions;
  /** By snapshot id. At most one for each follower. */
  readonly #offers = new Map<string, Offer>();
  readonly #opening = new Set<NodeId>();
  #count = 0;

  constructor(options: SnapshotOffersOptions) {
    this.#options = options;
  }

  /** Offers the newest durable image to a follower. */
  offer(to: NodeId): void {
    const open = this.#offerTo(to);
    if (open !== null && !this.#isOld(open)) return this.#send(open);
    if (this.#opening.has(to)) return;
    this.#opening.add(to);
    this.#options.state.openImage((failure, source) => {
      this.#opening.delete(to);
      if (failure !== null) this.#options.onStorageFailed(failure);
      if (source === null) this.#options.onSent(to, "", false);
      else this.#announce(to, source);
    });
  }

  /** A chunk of an offered snapshot; undefined when it is no longer offered. */
  read(id: string, position: number, done: (chunk: Uint8Array | null | undefined) => void): void {
    const offer = this.#offers.get(id);
    if (offer === undefined) return done(undefined);
    offer.lastReadMs = this.#options.clock.monotonicMs();
    offer.isBegun = true;
    offer.source.read(position, (failure, chunk) => {
      if (failure !== null) return this.#readFailed(offer, failure, () => done(undefined));
      done(chunk);
      if (chunk === null) this.#withdraw(offer, true);
    });
  }

  /** An image that is damaged would be offered for ever, by a leader that alone does not know: it is a broken disk's. */
  #readFailed(offer: Offer, failure: StorageFailure, then: () => void): void {
    if (failure.kind === "failed") this.#options.onStorageFailed(failure);
    this.#withdraw(offer, false, then);
  }

  /** Gives up what nobody reads. */
  tick(nowMs: number): void {
    for (const offer of this.#offers.values()) {
      if (nowMs - offer.lastReadMs >= this.#options.idleMs) this.#withdraw(offer, false);
    }
  }

  close(): void {
    for (const offer of this.#offers.values()) offer.source.close();
    this.#offers.clear();
  }

  #announce(to: NodeId, source: ImageSource): void {
    const { clock, idPrefix, observer } = this.#options;
    const open = this.#offerTo(to);
    if (open?.isBegun === true) return source.close();
    if (open !== null) this.#close(open);
    this.#count += 1;
    const meta: SnapshotMeta = { id: `${idPrefix}-${this.#count}`, ...source.base };
    const offer: Offer = { to, meta, source, lastReadMs: clock.monotonicMs(), isBegun: false };
    this.#offers.set(meta.id, offer);
    observer.snapshotOffered(to, meta.last.index);
    this.#send(offer);
  }

  /** The message may be lost: the core asks again, and the same offer is repeated. Opening an image takes time: we may lead no more. */
  #send(offer: Offer): void {
    const { self: from, peers, ledTerm } = this.#options;
    const term = ledTerm();
    if (term === null) return this.#withdraw(offer, false);
    const { to, meta } = offer;
    peers.send({ type: "snapshotOffer", from, to, term, meta });
  }

  #isOld({ isBegun, lastReadMs }: Offer): boolean {
    return !isBegun && this.#options.clock.monotonicMs() - lastReadMs >= unreadMsMax;
  }

  #offerTo(to: NodeId): Offer | null {
    for (const offer of this.#offers.values()) if (offer.to === to) return offer;
    return null;
  }

  #withdraw(offer: Offer, ok: boolean, then?: () => void): void {
    if (!this.#close(offer)) return then?.();
    this.#options.onSent(offer.to, offer.meta.id, ok);
    then?.();
  }

  #close(offer: Offer): boolean {
    if (!this.#offers.delete(offer.meta.id)) return false;
    offer.source.close();
    return true;
  }
}
