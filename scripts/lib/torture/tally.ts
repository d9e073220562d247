/** What a run counted, and the sum over runs that were done in pieces: each leaves a line in a file. */

import * as fs from "node:fs";
import type { Lab } from "./lab.ts";

export class Tally {
  /** Harms done. */
  done = 0;
  /** Harms that were noticed, of those that have to be. */
  noticed = 0;
  /** Harms after which the member was ready again without a person. */
  healed = 0;
  readonly lost = new Set<string>();
  readonly wrong = new Set<string>();
  /** How often what happened. */
  readonly details = new Map<string, number>();
  /** Comparisons of everything that all members hold. */
  looks = 0;

  note(what: string): void {
    this.details.set(what, (this.details.get(what) ?? 0) + 1);
  }

  async look(lab: Lab): Promise<void> {
    const { lost, wrong } = await lab.judge();
    for (const one of lost) this.lost.add(one);
    for (const one of wrong) this.wrong.add(one);
    this.looks += 1;
  }
}

/** One run, as it is kept. */
export interface Piece {
  readonly kind: string;
  readonly seed: number;
  readonly done: number;
  readonly noticed: number;
  readonly healed: number;
  readonly lost: readonly string[];
  readonly wrong: readonly string[];
  readonly details: Readonly<Record<string, number>>;
  readonly looks: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly refused: number;
  readonly reads: number;
  readonly seconds: number;
}

export function pieceOf(
  kind: string,
  seed: number,
  tally: Tally,
  ledger: Lab["ledger"],
  seconds: number,
): Piece {
  return {
    kind,
    seed,
    done: tally.done,
    noticed: tally.noticed,
    healed: tally.healed,
    lost: [...tally.lost],
    wrong: [...tally.wrong],
    details: Object.fromEntries([...tally.details].toSorted(([a], [b]) => a.localeCompare(b))),
    looks: tally.looks,
    acknowledged: ledger.acknowledged,
    unknown: ledger.unknown,
    refused: ledger.refused,
    reads: ledger.reads,
    seconds,
  };
}

export function keepPiece(file: string, piece: Piece): void {
  fs.appendFileSync(file, `${JSON.stringify(piece)}\n`);
}

/** The pieces of one kind that the file holds; none when there is no file yet. */
export function keptPieces(file: string, kind: string): readonly Piece[] {
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Piece).filter((piece) => piece.kind === kind);
}

export function detailsInWords(pieces: readonly Piece[]): readonly string[] {
  const sums = new Map<string, number>();
  for (const { details } of pieces)
    for (const [what, number] of Object.entries(details)) sums.set(what, (sums.get(what) ?? 0) + number);
  return [...sums].toSorted(([a], [b]) => a.localeCompare(b)).map(([what, number]) => `${number} ${what}`);
}

export function sumInWords(pieces: readonly Piece[]): string {
  const sum = (field: (piece: Piece) => number): number =>
    pieces.reduce((total, piece) => total + field(piece), 0);
  const harms = `${sum(({ done }) => done)} done, ${sum(({ noticed }) => noticed)} noticed, ${sum(({ healed }) => healed)} healed`;
  const faults = `${sum(({ lost }) => lost.length)} lost, ${sum(({ wrong }) => wrong.length)} wrong`;
  const writes = `${sum(({ acknowledged }) => acknowledged)} writes acknowledged, ${sum(({ unknown }) => unknown)} of unknown outcome, ${sum(({ refused }) => refused)} refused`;
  const looks = `${sum(({ reads }) => reads)} reads and ${sum((piece) => piece.looks)} looks at everything compared`;
  return `${harms}, ${faults}; ${writes}; ${looks}; ${Math.round(sum(({ seconds }) => seconds))} s`;
}
