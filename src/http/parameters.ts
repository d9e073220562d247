/**
 * Query parameters: how they are written in an address, and the schemas of those that several endpoints share. Each endpoint names the
 * parameters that it knows; any other is refused.
 */

import { z } from "zod";
import type { FieldError, RollcallError } from "../lib/errors.ts";
import type { InstanceStatus } from "../registry/model.ts";
import type { InstanceFilter } from "../registry/view.ts";
import { instanceStatuses, registryLimits } from "../registry/model.ts";
import { compareText } from "../registry/names.ts";
import { unknownStaleMs } from "../replica/member.ts";
import { fieldErrors, invalidArgument, preview, unknownName } from "./invalid.ts";
import { name, oneOf, text } from "./schema-parts.ts";

/** The parameters of an endpoint, by name. A schema of an array makes the parameter repeatable. */
export type ParameterShape = Readonly<Record<string, z.ZodType>>;
export type Parameters<Shape extends ParameterShape> = z.output<z.ZodObject<Shape>>;

/** `meta.KEY=VALUE` parameters all go into the one named this, as pairs. */
export const metaParameter = "meta";

/** A number as it stands in an address: digits only. In /openapi.json it is the integer that it means. */
export function integerParameter(min: number, max: number): z.ZodType<number, string> {
  const rule = `must be an integer from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,16}$/, { error: rule, abort: true })
    .transform(Number)
    .pipe(z.int({ error: rule }).min(min, { error: rule }).max(max, { error: rule }));
}

/** A parameter that may be given several times. */
export function repeatable<Item extends z.ZodType>(item: Item, max: number): z.ZodArray<Item> {
  return z.array(item).max(max, { error: `may be given at most ${max} times` });
}

export const revisionParameter = integerParameter(0, Number.MAX_SAFE_INTEGER);

export const timeouts = {
  writeMsDefault: 5_000,
  writeMsMax: 60_000,
  waitMsDefault: 5_000,
  waitMsMax: 600_000,
} as const;

/** Taken by every write. */
export const writeParameters = {
  timeoutMs: integerParameter(1, timeouts.writeMsMax)
    .default(timeouts.writeMsDefault)
    .describe("Bounds the whole write, the wait for a leader included."),
};

/** Taken by every read: how fresh the answer must be. */
export const readParameters = {
  consistency: oneOf(["local", "linearizable"]).default("local"),
  minRevision: revisionParameter.optional().describe("Wait until this member has applied that revision."),
  waitMs: integerParameter(0, timeouts.waitMsMax)
    .default(timeouts.waitMsDefault)
    .describe("The longest wait, for minRevision and for afterRevision."),
  maxStaleMs: integerParameter(0, unknownStaleMs)
    .optional()
    .describe("Refuse when this member may be further behind."),
};

/** Which instances of a service are meant. */
export const filterParameters = {
  status: z
    .array(oneOf([...instanceStatuses, "any"]))
    .optional()
    .describe("Default up; any for all."),
  tag: repeatable(text(registryLimits.tagChars), registryLimits.tags)
    .optional()
    .describe("All must be there."),
  version: text(registryLimits.versionChars).optional(),
  zone: text(registryLimits.zoneChars).optional(),
  [metaParameter]: repeatable(
    z.tuple([text(registryLimits.metadataKeyChars), text(registryLimits.metadataValueChars, 0)]),
    registryLimits.metadataPairs,
  )
    .optional()
    .describe("Written meta.KEY=VALUE."),
  limit: integerParameter(1, 100_000).optional(),
};

export function toFilter(query: Parameters<typeof filterParameters>): InstanceFilter {
  return {
    statuses: toStatuses(query.status ?? ["up"]),
    tags: query.tag ?? [],
    version: query.version ?? null,
    zone: query.zone ?? null,
    metadata: query.meta ?? [],
  };
}

function toStatuses(asked: readonly (InstanceStatus | "any")[]): InstanceStatus[] | null {
  if (asked.includes("any")) return null;
  return instanceStatuses.filter((status) => asked.includes(status));
}

/** One text for all ways to write the same filter. */
export function filterKey(filter: InstanceFilter): string {
  const { statuses, version, zone } = filter;
  const tags = [...filter.tags].sort(compareText);
  const metadata = filter.metadata.map((pair) => JSON.stringify(pair)).sort(compareText);
  return JSON.stringify([statuses, tags, version, zone, metadata]);
}

export const namespaceParameter = name.default("default");

/** How many rows a page has: by default, and at most. */
export const pageParameters = {
  limit: integerParameter(1, 10_000).default(1_000),
  cursor: text(256).optional().describe("The `next` of the page before."),
};

/** Parameters with the schema that checks them together: made once, because making it is dear and checking with it is cheap. */
export interface ParameterSet {
  readonly shape: ParameterShape;
  readonly schema: z.ZodType<Parameters<ParameterShape>>;
}

export function parameterSet(shape: ParameterShape): ParameterSet {
  return { shape, schema: z.object(shape) };
}

/** Parses the part of an address after the question mark. Everything that is wrong is collected in `errors`. */
export function parseQuery(
  query: string,
  { shape, schema }: ParameterSet,
  errors: FieldError[],
): Parameters<ParameterShape> | null {
  return parseNamed(collect(splitQuery(query), shape, errors), schema, errors);
}

/** Checks values that are named, not pointed at: parts of a path, and parameters. */
export function parseNamed(
  given: Readonly<Record<string, unknown>>,
  schema: ParameterSet["schema"],
  errors: FieldError[],
): Parameters<ParameterShape> | null {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const found = fieldErrors(parsed.error, given);
  errors.push(...found.map(({ pointer, detail }) => ({ pointer: pointer.split("/")[1] ?? "", detail })));
  return null;
}

function splitQuery(query: string): [name: string, value: string][] {
  if (query === "") return [];
  return query
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      if (equals < 0) return [unescape(part), ""];
      return [unescape(part.slice(0, equals)), unescape(part.slice(equals + 1))];
    });
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalidArgument([
      { pointer: "query", detail: `is not percent-encoded UTF-8; got ${preview(text)}` },
    ]);
  }
}

/** Single values as text, repeatable ones as arrays; what is unknown, or given twice without being repeatable, goes to `errors`. */
function collect(
  pairs: readonly (readonly [name: string, value: string])[],
  shape: ParameterShape,
  errors: FieldError[],
): Record<string, unknown> {
  const given: Record<string, string> = {};
  const lists: Record<string, unknown[]> = {};
  for (const [name, value] of pairs) {
    const known = knownAs(name, shape);
    if (name === "") {
      errors.push({ pointer: "query", detail: "has a value without a name" });
    } else if (known === null) {
      errors.push({ pointer: name.slice(0, 64), detail: unknownName(name, written(shape), "parameter") });
    } else if (isRepeatable(shape[known])) {
      const item = known === metaParameter ? [name.slice(metaParameter.length + 1), value] : value;
      (lists[known] ??= []).push(item);
    } else if (Object.hasOwn(given, known)) {
      errors.push({ pointer: name, detail: "is given twice" });
    } else {
      given[known] = value;
    }
  }
  return { ...given, ...lists };
}

function knownAs(name: string, shape: ParameterShape): string | null {
  const isMeta = name.startsWith(`${metaParameter}.`);
  const known = isMeta ? metaParameter : name;
  return Object.hasOwn(shape, known) && isMeta === (known === metaParameter) ? known : null;
}

function written(shape: ParameterShape): string[] {
  return Object.keys(shape).map((name) => (name === metaParameter ? `${metaParameter}.KEY` : name));
}

export function isRepeatable(schema: z.ZodType | undefined): boolean {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return isRepeatable(schema.unwrap() as z.ZodType);
  return schema instanceof z.ZodArray;
}

/** For a cursor that a client made up. */
export function badCursor(cursor: string): RollcallError {
  return invalidArgument([
    { pointer: "cursor", detail: `is not the next of an earlier page; got ${preview(cursor)}` },
  ]);
}
