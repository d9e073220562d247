/**
 * Snapshots for members that are too far behind, on the follower's side: it pulls the image that the leader offers (`snapshot-offers.ts`) in
 * chunks, puts it in the place of its own, and only then lets its log begin after it (paper §7; `snapshot-installation.ts`).
 */

import type { NodeId, SnapshotMeta } from "../raft/types.ts";
import type { Clock, ImageSink, PeerNetwork, StateImage, StateStore, StorageFailure } from "./ports.ts";

export interface ReceivedSnapshot {
  readonly from: NodeId;
  readonly meta: SnapshotMeta;
  readonly image: StateImage;
  readonly tookMs: number;
}

export interface SnapshotFetchOptions {
  readonly state: StateStore;
  readonly peers: PeerNetwork;
  readonly clock: Clock;
  /** Whether the state machine has come as far as the snapshot by itself, through the log. */
  readonly isOutdated: (meta: SnapshotMeta) => boolean;
  /** Stops writing the present image; calls back when nothing is being written. */
  readonly pauseImage: (end: () => void) => void;
  /** The old image is written to again. */
  readonly resumeImage: () => void;
  /** The image is durable, in the place of the old one; now the log may begin after it. `installed` is called when it does. */
  readonly onReceived: (snapshot: ReceivedSnapshot, installed: () => void) => void;
  /** The fetch came to nothing, or another is under way: a later offer counts again. */
  readonly onFailed: (meta: SnapshotMeta) => void;
  readonly onStorageFailed: (failure: StorageFailure) => void;
}

export class SnapshotFetch {
  readonly #options: SnapshotFetchOptions;
  #isUnderWay = false;

  constructor(options: SnapshotFetchOptions) {
    this.#options = options;
  }

  /** Pulls and installs the image that the leader offered. One at a time. */
  begin(from: NodeId, meta: SnapshotMeta): void {
    if (this.#isUnderWay) return this.#options.onFailed(meta);
    this.#isUnderWay = true;
    const startedMs = this.#options.clock.monotonicMs();
    const sink = this.#options.state.receiveImage(meta);
    this.#options.peers.fetchSnapshot(
      from,
      meta,
      (chunk, taken) => sink.write(chunk, taken),
      (failure) => {
        if (failure !== null) {
          sink.abort();
          return this.#failed(meta);
        }
        this.#options.pauseImage(() => this.#commit(from, meta, sink, startedMs));
      },
    );
  }

  /** Only now is it certain that the present image stays as it is, and so whether the received one is newer. */
  #commit(from: NodeId, meta: SnapshotMeta, sink: ImageSink, startedMs: number): void {
    if (this.#options.isOutdated(meta)) {
      sink.abort();
      return this.#commitFailed(meta, null);
    }
    sink.commit((failure, image) => {
      if (failure !== null || image === null) return this.#commitFailed(meta, failure);
      const tookMs = this.#options.clock.monotonicMs() - startedMs;
      const installed = (): void => {
        this.#isUnderWay = false;
      };
      this.#options.onReceived({ from, meta, image, tookMs }, installed);
    });
  }

  #commitFailed(meta: SnapshotMeta, failure: StorageFailure | null): void {
    if (failure?.kind === "failed") this.#options.onStorageFailed(failure);
    this.#options.resumeImage();
    this.#failed(meta);
  }

  #failed(meta: SnapshotMeta): void {
    this.#isUnderWay = false;
    this.#options.onFailed(meta);
  }
}
