/** Reads files that options name. A file that cannot be read is the operator's to mend, so it is said in one sentence. */

import { readFileSync } from "node:fs";
import type { AccessToken } from "../lib/access-token.ts";
import { ConfigError } from "./config-error.ts";
import { readTokens } from "./read-tokens.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a folder",
};

export function readConfigFile(path: string): { readonly path: string; readonly text: string } {
  return { path, text: readNamedFile(`The config file ${path}`, path) };
}

/** The first line of the file, without blanks around it; at least 16 characters. `what` names the file in messages. */
export function readSecret(path: string, what = "peer secret file"): string {
  const secret = (readNamedFile(`The ${what} ${path}`, path).split("\n")[0] ?? "").trim();
  if (secret.length < 16) {
    throw new ConfigError([`The first line of the ${what} ${path} must have at least 16 characters.`]);
  }
  return secret;
}

/** The access tokens that the file lists. */
export function readTokensFile(path: string): readonly AccessToken[] {
  return readTokens({ path, text: readNamedFile(`The token file ${path}`, path) });
}

function readNamedFile(what: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw new ConfigError([`${what} cannot be read: ${reasons[code] ?? (error as Error).message}.`]);
  }
}
