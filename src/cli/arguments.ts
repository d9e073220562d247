/** Values that options take, checked before anything is asked of a member; what is wrong ends as wrong usage. */

import { InvalidArgumentError } from "commander";

export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

/** For an option that may be repeated. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** The same for KEY=VALUE; a value may hold further equals signs. */
export function collectPair(
  text: string,
  previous: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must be KEY=VALUE.");
  return { ...previous, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** Where a member is reached. */
export function memberUrl(text: string): string {
  if (/^http:\/\/[^/\s]+:\d+$/.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError("It must be http://HOST:PORT.");
}
