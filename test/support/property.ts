/** Runs a property on random input. A failure names the seed, and the command that replays it. */

import fc from "fast-check";

/**
 * @param file The test file, as `npm run unit -- FILE` finds it.
 * @param runs How many inputs to try.
 */
export function checkProperty<Input>(
  file: string,
  runs: number,
  arbitrary: fc.Arbitrary<Input>,
  holds: (input: Input) => void,
): void {
  const given = process.env["SEED"];
  const seed = given === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(given);
  const property = fc.property(arbitrary, holds);
  try {
    fc.assert(property, { seed, numRuns: runs });
  } catch (error) {
    console.error(`replay: SEED=${seed} npm run unit -- ${file}`);
    throw error;
  }
}
