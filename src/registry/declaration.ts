/**
 * What may be declared, when two declarations are the same, and how a patch merges into one.
 *
 * The rules are part of the state machine: members that judged a declaration by different limits would diverge, so changing a limit
 * raises commandVersion. The HTTP API judges the same earlier, and with the place of the mistake.
 */

import { hasAtMost } from "../lib/characters.ts";
import type { Patch } from "./commands.ts";
import { instanceStatuses, registryLimits, type Declaration } from "./model.ts";
import { compareText } from "./names.ts";

/** What an absent field stands for. */
export const declarationDefaults = {
  scheme: null,
  version: null,
  zone: null,
  weight: 1,
  tags: [],
  metadata: [],
  status: "up",
  ttlMs: registryLimits.ttlMsDefault,
} as const satisfies Partial<Declaration>;

/** What no value may be, and the sentence that says so. */
type Rule<Value> = readonly [isBroken: (value: Value) => boolean, sentence: string];

export const weightRule = `weight must be a whole number from 0 to ${registryLimits.weightMax}`;

// Made once, and not for every declaration: each command that carries one is judged on every member.
const declarationRules: readonly Rule<Declaration>[] = makeDeclarationRules(registryLimits);

/** The first rule that the declaration breaks, as a sentence; null for none. */
export function declarationFault(declared: Declaration): string | null {
  return firstBroken(declared, declarationRules);
}

function makeDeclarationRules(limits: typeof registryLimits): readonly Rule<Declaration>[] {
  return [
    [({ host }) => !isText(host, limits.hostChars), `host must have 1 to ${limits.hostChars} characters`],
    [({ port }) => !isWhole(port, 0, 65_535), "port must be a whole number from 0 to 65535"],
    [({ scheme }) => !isOptional(scheme, limits.schemeChars), tooLong("scheme", limits.schemeChars)],
    [({ version }) => !isOptional(version, limits.versionChars), tooLong("version", limits.versionChars)],
    [({ zone }) => !isOptional(zone, limits.zoneChars), tooLong("zone", limits.zoneChars)],
    [({ weight }) => !isWhole(weight, 0, limits.weightMax), weightRule],
    ...tagRules(({ tags }: Declaration) => tags),
    [
      ({ metadata }) => metadata.length > limits.metadataPairs,
      `metadata may have at most ${limits.metadataPairs} pairs`,
    ],
    [
      ({ metadata }) => !metadata.every(([key]) => hasAtMost(limits.metadataKeyChars, key)),
      tooLong("a metadata key", limits.metadataKeyChars),
    ],
    [
      ({ metadata }) => !metadata.every(([, value]) => hasAtMost(limits.metadataValueChars, value)),
      tooLong("a metadata value", limits.metadataValueChars),
    ],
    [
      ({ status }) => !instanceStatuses.includes(status),
      `status must be one of ${instanceStatuses.join(", ")}`,
    ],
    [
      ({ ttlMs }) => !isWhole(ttlMs, limits.ttlMsMin, limits.ttlMsMax),
      `ttlMs must be a whole number from ${limits.ttlMsMin} to ${limits.ttlMsMax}`,
    ],
  ];
}

export function tagRules<Value>(tagsOf: (value: Value) => readonly string[]): readonly Rule<Value>[] {
  const { tags: tagsMax, tagChars } = registryLimits;
  return [
    [(value) => tagsOf(value).length > tagsMax, `tags may have at most ${tagsMax} items`],
    [(value) => !tagsOf(value).every((tag) => hasAtMost(tagChars, tag)), tooLong("a tag", tagChars)],
  ];
}

export function firstBroken<Value>(value: Value, rules: readonly Rule<Value>[]): string | null {
  return rules.find(([isBroken]) => isBroken(value))?.[1] ?? null;
}

export function isWhole(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

export function tooLong(what: string, chars: number): string {
  return `${what} may have at most ${chars} characters`;
}

function isText(value: string, chars: number): boolean {
  return value !== "" && hasAtMost(chars, value);
}

function isOptional(value: string | null, chars: number): boolean {
  return value === null || hasAtMost(chars, value);
}

/** Tags without repetition, metadata sorted by key with the last of equal keys: so that what is the same compares as the same. */
export function canonicalDeclaration(declared: Declaration): Declaration {
  if (canonicalTags(declared.tags) === declared.tags && isSorted(declared.metadata)) return declared;
  return {
    host: declared.host,
    port: declared.port,
    scheme: declared.scheme,
    version: declared.version,
    zone: declared.zone,
    weight: declared.weight,
    tags: canonicalTags(declared.tags),
    metadata: sortedPairs(new Map(declared.metadata)),
    status: declared.status,
    ttlMs: declared.ttlMs,
  };
}

export function canonicalTags(tags: readonly string[]): readonly string[] {
  if (tags.length < 2) return tags;
  const different = new Set(tags);
  return different.size === tags.length ? tags : [...different];
}

function isSorted(pairs: Declaration["metadata"]): boolean {
  return pairs.every(([key], i) => i === 0 || compareText(pairs[i - 1]?.[0] ?? "", key) < 0);
}

function sortedPairs(pairs: ReadonlyMap<string, string>): Declaration["metadata"] {
  return [...pairs].sort(([left], [right]) => compareText(left, right));
}

export function isSameDeclaration(left: Declaration, right: Declaration): boolean {
  return (
    left.host === right.host &&
    left.port === right.port &&
    left.scheme === right.scheme &&
    left.version === right.version &&
    left.zone === right.zone &&
    left.weight === right.weight &&
    left.status === right.status &&
    left.ttlMs === right.ttlMs &&
    isSameList(left.tags, right.tags) &&
    left.metadata.length === right.metadata.length &&
    left.metadata.every((pair, i) => isSameList(pair, right.metadata[i] ?? []))
  );
}

export function isSameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((value, i) => value === right[i]);
}

/** RFC 7396 with this registry's defaults: absent stays, null resets. */
export function patchedDeclaration(declared: Declaration, changes: Patch["changes"]): Declaration {
  const defaults = declarationDefaults;
  return {
    host: changes.host ?? declared.host,
    port: changes.port ?? declared.port,
    scheme: merged(changes.scheme, declared.scheme, defaults.scheme),
    version: merged(changes.version, declared.version, defaults.version),
    zone: merged(changes.zone, declared.zone, defaults.zone),
    weight: merged(changes.weight, declared.weight, defaults.weight),
    tags: canonicalTags(merged(changes.tags, declared.tags, defaults.tags)),
    metadata: patchedMetadata(declared.metadata, changes.metadata),
    status: merged(changes.status, declared.status, defaults.status),
    ttlMs: merged(changes.ttlMs, declared.ttlMs, defaults.ttlMs),
  };
}

function merged<Value>(change: Value | null | undefined, present: Value, byDefault: Value): Value {
  if (change === undefined) return present;
  return change ?? byDefault;
}

function patchedMetadata(
  present: Declaration["metadata"],
  changes: Patch["changes"]["metadata"],
): Declaration["metadata"] {
  if (changes === undefined) return present;
  if (changes === null) return declarationDefaults.metadata;
  const pairs = new Map(present);
  for (const [key, value] of changes) {
    if (value === null) pairs.delete(key);
    else pairs.set(key, value);
  }
  return sortedPairs(pairs);
}
