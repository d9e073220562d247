/**
 * What the cluster has acknowledged, and what it may therefore show. Writers change instances of their own, one change at a time, each
 * with a version of its own; a change whose outcome is unknown retires its instance, since it may yet take effect.
 */

/** Null: not registered. */
export type Version = number | null;
export type Outcome = "acknowledged" | "unknown" | "refused";

/** Of a value that nobody wrote. */
export const torn = Number.NaN;

interface Attempt {
  readonly version: Version;
  outcome: Outcome | "under way";
}

/** The attempts to change one instance, in order. The first one is that it was never there. */
type Line = Attempt[];

/** A change that was begun. */
export interface Change {
  readonly id: string;
  readonly attempt: Attempt;
  /** The highest revision that was acknowledged before it began. */
  readonly revisionBefore: number;
}

/** A read that was begun, and where in its instance's line it may look. */
export interface Look {
  readonly id: string;
  readonly from: number;
}

export interface Verdict {
  /** Instances that are older than what was acknowledged, or gone. */
  readonly lost: readonly string[];
  /** Instances as nobody ever wrote them, or as they must not be any more. */
  readonly wrong: readonly string[];
}

export class Ledger {
  readonly #lines = new Map<string, Line>();
  readonly #revisions = new Set<number>();
  acknowledged = 0;
  unknown = 0;
  refused = 0;
  /** The highest revision that was acknowledged. */
  revision = 0;
  /** Reads that were compared. */
  reads = 0;

  get ids(): readonly string[] {
    return [...this.#lines.keys()];
  }

  /** To be called before the change is sent. */
  begin(id: string, version: Version): Change {
    const line = this.#lines.get(id) ?? [{ version: null, outcome: "acknowledged" }];
    this.#lines.set(id, line);
    const attempt: Attempt = { version, outcome: "under way" };
    line.push(attempt);
    return { id, attempt, revisionBefore: this.revision };
  }

  /** What is wrong with the answer; null when nothing is. A change that came after another one has a higher revision, and one of its own. */
  end(change: Change, outcome: Outcome, revision: number | null): string | null {
    change.attempt.outcome = outcome;
    this[outcome] += 1;
    if (outcome !== "acknowledged") return null;
    const told = revision ?? torn;
    const isRight = told > change.revisionBefore && !this.#revisions.has(told);
    this.#revisions.add(told);
    this.revision = Math.max(this.revision, told);
    if (isRight) return null;
    return `${change.id}: acknowledged with revision ${told}, after ${change.revisionBefore} had been`;
  }

  /** To be called before a read that has to see everything acknowledged so far. */
  beginLook(id: string): Look {
    return { id, from: lastAcknowledged(this.#lines.get(id) ?? []) };
  }

  /** What is wrong with the value; null when it is one that was there between the beginning of the read and now. */
  endLook({ id, from }: Look, found: Version): string | null {
    this.reads += 1;
    const line = this.#lines.get(id) ?? [];
    return mayShow(line.slice(from), found) ? null : inWords(id, found, line[from]?.version ?? null);
  }

  /** Everything that is there, while nothing is under way. */
  judge(found: ReadonlyMap<string, number>): Verdict {
    const lost: string[] = [];
    const wrong = [...found.keys()].filter((id) => !this.#lines.has(id));
    for (const [id, line] of this.#lines) {
      const version = found.get(id) ?? null;
      const from = lastAcknowledged(line);
      if (mayShow(line.slice(from), version)) continue;
      const told = inWords(id, version, line[from]?.version ?? null);
      if (mayShow(line, version)) lost.push(told);
      else wrong.push(told);
    }
    return { lost, wrong };
  }
}

function lastAcknowledged(line: Line): number {
  return Math.max(
    0,
    line.findLastIndex(({ outcome }) => outcome === "acknowledged"),
  );
}

function mayShow(attempts: readonly Attempt[], version: Version): boolean {
  return attempts.some((attempt) => attempt.outcome !== "refused" && attempt.version === version);
}

function inWords(id: string, found: Version, acknowledged: Version): string {
  return `${id}: ${found ?? "absent"} in the place of ${acknowledged ?? "absent"}`;
}
