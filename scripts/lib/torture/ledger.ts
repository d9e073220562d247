/**
 * What the cluster has acknowledged, and what it may therefore hold. Writers change instances of their own, one change at a time; a
 * change whose outcome is unknown retires its instance, since it may yet take effect.
 */

export type Version = number | null;

interface Line {
  /** Null: not registered. */
  acknowledged: Version;
  /** Versions that may or may not be there instead. */
  readonly maybe: Version[];
}

export interface Verdict {
  /** Instances that are older than what was acknowledged, or gone. */
  readonly lost: readonly string[];
  /** Instances as nobody ever wrote them. */
  readonly wrong: readonly string[];
}

export class Ledger {
  readonly #lines = new Map<string, Line>();
  readonly #written = new Map<string, Set<Version>>();
  acknowledged = 0;
  unknown = 0;
  refused = 0;

  /** To be called before the change is sent. */
  begin(id: string, version: Version): void {
    if (!this.#lines.has(id)) this.#lines.set(id, { acknowledged: null, maybe: [] });
    const written = this.#written.get(id) ?? new Set<Version>([null]);
    this.#written.set(id, written.add(version));
  }

  end(id: string, version: Version, outcome: "acknowledged" | "unknown" | "refused"): void {
    const line = this.#lines.get(id);
    if (line === undefined) throw new Error(`${id} was never begun`);
    this[outcome] += 1;
    if (outcome === "acknowledged") line.acknowledged = version;
    if (outcome === "unknown") line.maybe.push(version);
  }

  judge(found: ReadonlyMap<string, number>): Verdict {
    const lost: string[] = [];
    const wrong = [...found.keys()].filter((id) => !this.#lines.has(id));
    for (const [id, { acknowledged, maybe }] of this.#lines) {
      const version = found.get(id) ?? null;
      if (version === acknowledged || maybe.includes(version)) continue;
      const told = `${id}: ${version ?? "absent"} in the place of ${acknowledged ?? "absent"}`;
      if (this.#written.get(id)?.has(version) === true) lost.push(told);
      else wrong.push(told);
    }
    return { lost, wrong };
  }
}
