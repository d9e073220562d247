import { readFileSync } from "node:fs";

/** Of the package; both src/ and dist/ stand beside its package.json. */
export function ownVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
