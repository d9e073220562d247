/** A bug to be planted: one text of one file, exchanged for another. */

export interface Mutant {
  /** In words, unique. */
  readonly name: string;
  /** The bug's number in the catalogue; null for one that was found or invented here. */
  readonly catalogue: string | null;
  /** Under `src/`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}
