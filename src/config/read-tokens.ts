/** Reads the file of access tokens (`--auth-tokens-file`). It holds digests, so whoever reads it learns no token. */

import { accessRights, type AccessRight, type AccessToken } from "../lib/access-token.ts";
import { ConfigError } from "./config-error.ts";

const fields = ["name", "sha256", "rights", "namespace", "servicePrefix"] as const;
type Given = Partial<Record<(typeof fields)[number], unknown>>;

/**
 * `{"tokens": [{"name", "sha256", "rights", "namespace"?, "servicePrefix"?}]}`, with at least one token. Throws a ConfigError with
 * everything that is wrong; no message repeats a digest.
 */
export function readTokens({
  path,
  text,
}: {
  readonly path: string;
  readonly text: string;
}): readonly AccessToken[] {
  const problems: string[] = [];
  const list = listIn(text, problems);
  const tokens = list.map((given, i) => token(given, `token ${i + 1}`, problems));
  for (const unique of ["name", "sha256"] as const) {
    const values = list.map((given) => given[unique]);
    const repeated = values.findIndex((value, i) => value !== undefined && values.indexOf(value) !== i);
    if (repeated >= 0) problems.push(`token ${repeated + 1} has the ${unique} of an earlier one`);
  }
  if (problems.length > 0)
    throw new ConfigError(problems.map((problem) => `The token file ${path}: ${problem}.`));
  return tokens;
}

function listIn(text: string, problems: string[]): readonly Given[] {
  let whole: unknown = null;
  try {
    whole = JSON.parse(text);
  } catch {
    // The parser's own message would show a part of the file.
  }
  const { tokens } = (whole ?? {}) as { readonly tokens?: unknown };
  const isList = Array.isArray(tokens) && tokens.length > 0 && tokens.every(isRecord);
  if (!isList) problems.push('it must be JSON of the form {"tokens": [{...}, ...]}, with at least one token');
  return isList ? tokens : [];
}

function isRecord(value: unknown): value is Given {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function token(given: Given, which: string, problems: string[]): AccessToken {
  const check = (holds: boolean, rule: string): void => {
    if (!holds) problems.push(`${which}: ${rule}`);
  };
  const { name, sha256, rights, namespace = null, servicePrefix = null } = given;
  const known: readonly string[] = fields;
  const unknown = Object.keys(given).filter((field) => !known.includes(field));
  check(unknown.length === 0, `${unknown.join(", ")} is not known; there are ${fields.join(", ")}`);
  check(isText(name), "name must be 1 to 128 characters");
  check(
    typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256),
    "sha256 must be 64 hexadecimal digits, as `printf %s TOKEN | sha256sum` prints them",
  );
  check(areRights(rights), `rights must be a list of some of ${accessRights.join(", ")}`);
  check(namespace === null || isText(namespace), "namespace must be 1 to 128 characters");
  check(servicePrefix === null || isText(servicePrefix), "servicePrefix must be 1 to 128 characters");
  return {
    name: String(name),
    sha256: Buffer.from(String(sha256), "hex"),
    rights: areRights(rights) ? rights : [],
    namespace: isText(namespace) ? namespace : null,
    servicePrefix: isText(servicePrefix) ? servicePrefix : null,
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= 128;
}

function areRights(value: unknown): value is AccessRight[] {
  const known: readonly unknown[] = accessRights;
  return Array.isArray(value) && value.length > 0 && value.every((right) => known.includes(right));
}
