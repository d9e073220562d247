/**
 * Goes on from a received image: log, state machine and core begin anew behind its last entry (paper §7).
 *
 * The new state is built beside the old one first, a part in each turn, while the member goes on with the old one: it hears its leader,
 * appends, applies and answers. Then all three begin anew in one turn, so that they do so at the same place in the order of writes; and
 * nothing is written to the image before the log on disk begins after it, or a crash would leave a log that ends before its image.
 */

import type { RaftCore } from "../raft/raft-core.ts";
import type { Index } from "../raft/types.ts";
import type { RegistryEvent } from "../registry/commands.ts";
import type { Registry } from "../registry/registry.ts";
import type { Applier } from "./applier.ts";
import type { ImageWriter } from "./image-writer.ts";
import { loadInTurns } from "./load-registry.ts";
import type { ReplicaObserver } from "./observer.ts";
import type { LogBase, LogStore, StorageDone } from "./ports.ts";
import type { RaftDriver } from "./raft-driver.ts";
import type { ReceivedSnapshot } from "./snapshot-fetch.ts";
import type { StorageLane } from "./storage-lane.ts";

export interface SnapshotInstallationOptions {
  readonly core: RaftCore;
  readonly driver: RaftDriver;
  readonly lane: StorageLane;
  readonly log: LogStore;
  readonly applier: Applier;
  readonly image: ImageWriter;
  readonly observer: ReplicaObserver;
  readonly loadStepsPerTurn: number;
  /** The state machine stands at this index now. */
  readonly onAdvanced: (index: Index) => void;
  readonly onEvents: (events: readonly RegistryEvent[]) => void;
}

/** Of what changed in between, listeners are told at most so many events in the one turn: whoever needs them all can ask the registry. */
const eventsToldMax = 1_000;

export class SnapshotInstallation {
  readonly #options: SnapshotInstallationOptions;

  constructor(options: SnapshotInstallationOptions) {
    this.#options = options;
  }

  /** `installed` is called when the log on disk begins after the image. */
  begin(received: ReceivedSnapshot, installed: () => void): void {
    const { driver, loadStepsPerTurn } = this.#options;
    loadInTurns({
      image: received.image,
      stepsPerTurn: loadStepsPerTurn,
      inTurn: (task) => driver.inTurn(task),
      done: (registry) => this.#install(received, registry, installed),
    });
  }

  /**
   * Should the log have brought the state machine further while the image became durable and the state was built, the image is only an older
   * one to write to: every change since is still to be written.
   */
  #install({ from, meta, image, tookMs }: ReceivedSnapshot, registry: Registry, installed: () => void): void {
    const { core, driver, applier, observer, onAdvanced, onEvents } = this.#options;
    const { base } = image;
    const goOnWriting = (): void => {
      this.#options.image.resumeAt(base.last.index);
      installed();
    };
    if (base.last.index <= applier.base.last.index) return goOnWriting();
    const keepTail = core.termAt(meta.last.index) === meta.last.term;
    this.#resetLog(base, keepTail, goOnWriting);
    const before = applier.registry.revision;
    applier.replace(registry, base);
    driver.step({ kind: "snapshotInstalled", meta });
    observer.snapshotInstalled(from, base.last.index, tookMs);
    onAdvanced(base.last.index);
    onEvents(this.#eventsToTell(before));
  }

  /** Whoever finds a gap, or nothing new at a higher revision, asks the registry or takes a snapshot of its own. */
  #eventsToTell(before: number): readonly RegistryEvent[] {
    const { registry } = this.#options.applier;
    return registry.revision - before > eventsToldMax ? [] : (registry.eventsSince(before) ?? []);
  }

  #resetLog(base: LogBase, keepTail: boolean, then: () => void): void {
    const { lane, log } = this.#options;
    const run = (done: StorageDone): void =>
      log.reset(base, keepTail, (failure) => {
        if (failure === null) then();
        done(failure);
      });
    lane.add({ seq: lane.lastSeq, entries: 0, run });
  }
}
