/** Exchanges a mutant's text in the source of its file. */

import type { Mutant } from "./mutant.ts";

/** How often the mutant's text occurs. White space counts as equal, so that formatting a file does not lose its mutants. */
export function occurrences(source: string, mutant: Mutant): number {
  return [...source.matchAll(pattern(mutant.find))].length;
}

/** Throws when the text is not there, or not only once. */
export function plant(source: string, mutant: Mutant): string {
  const found = occurrences(source, mutant);
  if (found !== 1)
    throw new Error(
      `mutant "${mutant.name}": its text occurs ${found} times in src/${mutant.file}, not once`,
    );
  return source.replace(pattern(mutant.find), () => mutant.replace);
}

function pattern(text: string): RegExp {
  const words = text.trim().split(/\s+/);
  return new RegExp(words.map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s*"), "g");
}
