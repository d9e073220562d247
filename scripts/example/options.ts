// What both examples do with their options: --help explains them, and one that does not exist ends the program in one sentence.

import { parseArgs } from "node:util";

/** The option's name, and what it is when it is not said; null for something that the program finds out by itself. */
type Defaults = Readonly<Record<string, string | null>>;
type Values<D extends Defaults> = { readonly [K in keyof D]: D[K] extends string ? string : string | null };

export function readOptions<D extends Defaults>(usage: string, defaults: D): Values<D> {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean" },
        ...Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: "string" } as const])),
      },
    });
    if (values["help"] !== true) return { ...defaults, ...values } as Values<D>;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    process.exit(1);
  }
}
