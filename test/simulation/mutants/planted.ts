/** The environment in which a process of Node runs with a bug planted in it. */

const loader = new URL("loader.ts", import.meta.url).href;

export function planted(mutant: string): { readonly NODE_OPTIONS: string; readonly PLANTED_MUTANT: string } {
  return {
    NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import=${loader}`,
    PLANTED_MUTANT: mutant,
  };
}
