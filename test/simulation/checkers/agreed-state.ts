/**
 * State machine safety: whoever has applied the same index has the same state, and every change is told alike by all.
 *
 * Applies the committed log once more, as the measure for all members, and keeps what each index and each revision came to.
 */

import type { Entry, Index } from "../../../src/raft/types.ts";
import type { CommandResult, Envelope, RegistryEvent } from "../../../src/registry/commands.ts";
import { registryLimits } from "../../../src/registry/model.ts";
import { Registry } from "../../../src/registry/registry.ts";
import { commandCodec } from "../../../src/storage/command-codec.ts";
import type { Violate } from "../violation.ts";
import type { SimMember } from "../world/member.ts";

const checker = "state machine safety";

/** The hash of the whole state takes time in proportion to it, so it is compared at every so manieth index only. */
const hashEvery = 199;

export interface AgreedChange {
  readonly index: Index;
  readonly clusterTime: number;
  readonly envelopes: readonly Envelope[];
  readonly results: readonly CommandResult[];
  readonly events: readonly RegistryEvent[];
}

export class AgreedState {
  readonly registry = new Registry();
  readonly #violate: Violate;
  /** By index. */
  readonly #revisions: number[] = [0];
  readonly #clusterTimes: number[] = [0];
  readonly #hashes = new Map<Index, string>();
  /** By revision: what everybody must tell of it, and the cluster time of its entry. */
  readonly #events: string[] = [];
  readonly #toldAt: number[] = [];

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  get index(): Index {
    return this.#revisions.length - 1;
  }

  revisionAt(index: Index): number {
    return this.#revisions[index] ?? 0;
  }

  /** What everybody must tell of this revision; undefined before it was committed. */
  eventAt(revision: number): string | undefined {
    return this.#events[revision];
  }

  /** Whether every member must still know all changes after this revision (DESIGN.md section 5). */
  mustBeKnownAfter(revision: number): boolean {
    const { eventsKept, eventsKeptMs } = registryLimits;
    const oldest = this.#toldAt[revision + 1] ?? Infinity;
    return (
      this.registry.revision - revision <= eventsKept && oldest > this.registry.clusterTime - eventsKeptMs
    );
  }

  committed(entry: Entry): AgreedChange {
    const change = this.#apply(entry);
    this.#revisions[entry.index] = this.registry.revision;
    this.#clusterTimes[entry.index] = entry.clusterTime;
    for (const event of change.events) {
      this.#events[event.revision] = describe(event);
      this.#toldAt[event.revision] = entry.clusterTime;
    }
    if (entry.index % hashEvery === 0) this.#hashes.set(entry.index, this.registry.stateHash());
    return change;
  }

  applied(member: SimMember, index: Index): void {
    const registry = member.replica?.registry;
    if (registry === undefined) return;
    const { revision, clusterTime } = registry;
    if (index > this.index)
      return this.#violate(
        checker,
        `${member.id} applied ${index}, and ${this.index} is the last that is committed`,
      );
    if (revision !== this.#revisions[index])
      this.#violate(
        checker,
        `${member.id} has revision ${revision} at index ${index}, not ${this.#revisions[index]}`,
      );
    if (clusterTime !== this.#clusterTimes[index])
      this.#violate(
        checker,
        `${member.id} has cluster time ${clusterTime} at index ${index}, not ${this.#clusterTimes[index]}`,
      );
    const hash = this.#hashes.get(index);
    if (hash !== undefined && hash !== registry.stateHash())
      this.#violate(checker, `${member.id} has another state than the others at index ${index}`);
  }

  /** At the end: compares all of the state at the newest index. */
  compareAll(member: SimMember, index: Index): void {
    if (index !== this.index || member.replica === null) return;
    if (member.replica.registry.stateHash() !== this.registry.stateHash())
      this.#violate(checker, `${member.id} has another state than the others at index ${index}, the last`);
  }

  told(who: string, events: readonly RegistryEvent[]): void {
    for (const event of events) {
      const agreed = this.#events[event.revision];
      if (agreed === describe(event)) continue;
      this.#violate(
        checker,
        `${who} tells of revision ${event.revision} "${describe(event)}", and the others "${agreed ?? "nothing"}"`,
      );
    }
  }

  #apply(entry: Entry): AgreedChange {
    const { index, clusterTime } = entry;
    if (entry.kind !== "command") {
      this.registry.advance(clusterTime, false);
      return { index, clusterTime, envelopes: [], results: [], events: [] };
    }
    const batch = commandCodec.decode(entry.payload);
    const { results, events } = this.registry.apply(batch, clusterTime);
    return { index, clusterTime, envelopes: batch.envelopes, results, events };
  }
}

/** Everything that distinguishes one change from another, in a line. */
export function describe(event: RegistryEvent): string {
  switch (event.type) {
    case "put": {
      const { service, id, incarnation, declared, suspect, override } = event.instance;
      const { host, weight, status, ttlMs, tags, metadata } = declared;
      return `put ${service}/${id} ${incarnation} ${host} ${weight} ${status} ${ttlMs} ${tags.join("+")} ${metadata.join("+")} ${suspect} ${override?.reason ?? ""}`;
    }
    case "delete":
      return `delete ${event.service}/${event.id} ${event.reason}`;
    case "service":
      return `service ${event.service} ${event.protected}`;
  }
}
