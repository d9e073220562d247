/**
 * To be loaded first (`node --import`): from then on the file of the mutant that PLANTED_MUTANT names is loaded with the bug in it. The file
 * on disk stays as it is.
 */

import { registerHooks } from "node:module";
import { plant } from "./plant.ts";
import { mutants } from "./table.ts";

const name = process.env["PLANTED_MUTANT"];
const mutant = mutants.find((each) => each.name === name);
if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
const url = new URL(`../../../src/${mutant.file}`, import.meta.url).href;

registerHooks({
  load: (loaded, context, nextLoad) => {
    const result = nextLoad(loaded, context);
    if (loaded !== url) return result;
    const { source } = result;
    const text = typeof source === "string" ? source : Buffer.from(source as Uint8Array).toString();
    return { ...result, source: plant(text, mutant) };
  },
});
