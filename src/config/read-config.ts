/**
 * Merges flags, environment, config file and defaults into one `Config`; the first that names an option wins. Knows no process: whoever
 * calls hands over what was written where.
 */

import { nearestName } from "../lib/nearest-name.ts";
import { ConfigError } from "./config-error.ts";
import { flagOf, optionNames, options, variableOf, type Config, type OptionName } from "./options.ts";
import { conflicts } from "./validate.ts";

export interface ConfigSources {
  /** Option names (as in the table) with the text that was given. */
  readonly flags: Readonly<Partial<Record<OptionName, string>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The config file's text and where it was read from. */
  readonly file: { readonly path: string; readonly text: string } | null;
}

/** A text and the place where it was written, for messages. */
interface Given {
  readonly place: string;
  readonly text: string;
}

/** Variables that begin like ours and belong to the command line's clients, or name the config file itself. */
const otherVariables = new Set(["ROLLCALL_CONFIG", "ROLLCALL_SERVER", "ROLLCALL_TOKEN"]);

/** A Kubernetes Service whose name begins with "rollcall" puts such variables into every pod of its namespace. */
const injectedVariable =
  /(?:_SERVICE_HOST|_SERVICE_PORT(?:_\w+)?|_PORT|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)$/;

/** Throws a ConfigError with everything that is wrong, not only the first. */
export function readConfig(sources: ConfigSources): Config {
  const problems: string[] = [];
  const layers = [
    fromFlags(sources.flags),
    fromEnvironment(sources.env, problems),
    fromFile(sources.file, problems),
  ];
  const values = optionNames.map((name) => {
    const given = layers.map((layer) => layer.get(name)).find((one) => one !== undefined);
    return [name, given === undefined ? options[name].fallback : parse(name, given, problems)] as const;
  });
  const config = Object.fromEntries(values) as Config;
  // Options that are wrong by themselves would only cause complaints that mislead.
  if (problems.length === 0) problems.push(...conflicts(config));
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function parse(name: OptionName, given: Given, problems: string[]): unknown {
  try {
    return options[name].parse(given.text.trim());
  } catch (error) {
    problems.push(`${given.place} must be ${(error as Error).message}; it is ${JSON.stringify(given.text)}.`);
    return options[name].fallback;
  }
}

function fromFlags(flags: ConfigSources["flags"]): ReadonlyMap<OptionName, Given> {
  const given = optionNames.flatMap((name) => {
    const text = flags[name];
    return text === undefined ? [] : [[name, { place: `--${flagOf(name)}`, text }] as const];
  });
  return new Map(given);
}

function fromEnvironment(env: ConfigSources["env"], problems: string[]): ReadonlyMap<OptionName, Given> {
  const byVariable = new Map(optionNames.map((name) => [variableOf(name), name]));
  const given = new Map<OptionName, Given>();
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("ROLLCALL_") || text === undefined || otherVariables.has(variable)) continue;
    const name = byVariable.get(variable);
    if (name !== undefined) given.set(name, { place: variable, text });
    else if (!injectedVariable.test(variable)) {
      problems.push(
        `The environment variable ${variable} is no option${meant(variable, [...byVariable.keys()])}`,
      );
    }
  }
  return given;
}

function fromFile(file: ConfigSources["file"], problems: string[]): ReadonlyMap<OptionName, Given> {
  const given = new Map<OptionName, Given>();
  if (file === null) return given;
  for (const [key, value] of Object.entries(parseFile(file))) {
    const place = `"${key}" in ${file.path}`;
    const name = optionNames.find((one) => one === key);
    const text = textOf(value);
    if (name === undefined) problems.push(`${place} is no option${meant(key, optionNames)}`);
    else if (text === null)
      problems.push(`${place} must be a string or a number, and "members" may be an object.`);
    else given.set(name, { place, text });
  }
  return given;
}

function parseFile(file: { readonly path: string; readonly text: string }): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(file.text);
  } catch (error) {
    throw new ConfigError([`The config file ${file.path} is not JSON: ${(error as Error).message}.`]);
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new ConfigError([`The config file ${file.path} must hold one JSON object with options as keys.`]);
  }
  return content as Record<string, unknown>;
}

/** The text that a flag would have; null for what no option can be. `{"n1": "http://..."}` is a list of members. */
function textOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return Object.entries(value)
    .map(([id, url]) => `${id}=${String(url)}`)
    .join(",");
}

function meant(name: string, candidates: readonly string[]): string {
  const nearest = nearestName(name, candidates);
  return nearest === null ? "; rollcall options lists them all." : `; did you mean ${nearest}?`;
}
