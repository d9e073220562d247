/**
 * Applies committed entries to the registry, in order, and remembers the position that the registry then stands for.
 *
 * Deterministic failures are results. Anything unexpected (bytes that cannot be decoded, a command of a newer version) is thrown and ends
 * this member: a replica that skips or guesses diverges from the others.
 */

import { idOf } from "../raft/entry.ts";
import type { Entry, Index } from "../raft/types.ts";
import type { CommandResult, RegistryEvent } from "../registry/commands.ts";
import type { Registry } from "../registry/registry.ts";
import type { CommandCodec, LogBase } from "./ports.ts";
import type { Proposals } from "./proposals.ts";

export interface ApplierOptions {
  readonly registry: Registry;
  /** The position that `registry` stands for. */
  readonly base: LogBase;
  readonly codec: CommandCodec;
  readonly proposals: Proposals;
  readonly onEvents: (events: readonly RegistryEvent[]) => void;
  /** Called right after each entry. */
  readonly onApplied: (index: Index) => void;
}

export class Applier {
  readonly #options: ApplierOptions;
  #registry: Registry;
  #base: LogBase;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#registry = options.registry;
    this.#base = options.base;
  }

  get registry(): Registry {
    return this.#registry;
  }

  /** What has been applied, as the boundary that a log could begin from. */
  get base(): LogBase {
    return this.#base;
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const results = this.#applyOne(entry);
      this.#base = advance(this.#base, entry);
      this.#options.onApplied(entry.index);
      this.#options.proposals.applied({ term: entry.term, index: entry.index }, results);
    }
  }

  /** Goes on from an installed snapshot. Who waits for entries below it learns that their fate is unknown. */
  replace(registry: Registry, base: LogBase): void {
    this.#registry = registry;
    this.#base = base;
    this.#options.proposals.jumpedTo(base.last.index);
  }

  #applyOne(entry: Entry): readonly CommandResult[] {
    if (entry.kind !== "command") {
      this.#registry.advance(entry.clusterTime, entry.kind === "election" && entry.graceMs > 0);
      return [];
    }
    const batch = this.#options.proposals.batchOf(entry) ?? this.#options.codec.decode(entry.payload);
    const { results, events } = this.#registry.apply(batch, entry.clusterTime);
    if (events.length > 0) this.#options.onEvents(events);
    return results;
  }
}

function advance(base: LogBase, entry: Entry): LogBase {
  const { index, clusterTime } = entry;
  const isMembership = entry.kind === "membership";
  const isGrace = entry.kind === "election" && entry.graceMs > 0;
  return {
    last: idOf(entry),
    clusterTime,
    membership: isMembership ? entry.membership : base.membership,
    membershipIndex: isMembership ? index : base.membershipIndex,
    lastGraceAt: isGrace ? clusterTime : base.lastGraceAt,
  };
}
