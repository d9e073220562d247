/**
 * The building blocks of every schema: each says its rule once, as the words that a client reads when it is broken ("must be ..."), as
 * the check, and as what stands in /openapi.json.
 */

import { z } from "zod";
import { instanceStatuses, registryLimits } from "../registry/model.ts";
import { isName, nameRule } from "../registry/names.ts";
import { unknownName } from "./invalid.ts";

/** An object that knows its fields: others are refused, naming the near one. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownName(key, known, "field")).join("\n")
        : "must be an object",
  });
}

/** Text of `min` to `max` characters, counted in code points as JSON Schema does, without lone surrogates, which have no UTF-8. */
export function text(max: number, min = 1): z.ZodString {
  const rule = `must be a string of ${min}-${max} characters`;
  return z
    .string({ error: rule })
    .min(min, { error: rule })
    .max(max, { error: rule })
    .refine((value) => value.isWellFormed(), { error: "must be valid Unicode" });
}

export function pattern(regex: RegExp, rule: string): z.ZodString {
  return z.string({ error: rule }).regex(regex, { error: rule });
}

export function integer(min: number, max: number): z.ZodInt {
  const rule = `must be an integer from ${min} to ${max}`;
  return (
    z
      .int({ error: rule })
      .min(min, { error: rule })
      .max(max, { error: rule })
      // -0 is an integer to JSON, and would become a float on the wire between members.
      .overwrite((value) => (Object.is(value, -0) ? 0 : value))
  );
}

export function oneOf<const Choices extends readonly [string, ...string[]]>(
  choices: Choices,
): z.ZodEnum<{ [Choice in Choices[number]]: Choice }> {
  return z.enum(choices, { error: `must be one of ${choices.join(", ")}` });
}

export function listOf<Item extends z.ZodType>(item: Item, min: number, max: number): z.ZodArray<Item> {
  const rule = `must be an array of ${min}-${max} items`;
  return z.array(item, { error: rule }).min(min, { error: rule }).max(max, { error: rule });
}

/** Pairs of text; `value` may allow null. */
export function pairs<Value extends z.ZodType>(value: Value): z.ZodRecord<z.ZodString, Value> {
  const rule = `must be an object of at most ${registryLimits.metadataPairs} pairs of strings`;
  return z
    .record(text(registryLimits.metadataKeyChars), value, {
      error: (issue) => (issue.code === "invalid_key" ? undefined : rule),
    })
    .refine((map) => Object.keys(map).length <= registryLimits.metadataPairs, { error: rule })
    .meta({ maxProperties: registryLimits.metadataPairs });
}

export const name = z
  .string({ error: `must be a name: ${nameRule}` })
  .refine(isName, { error: `must be a name: ${nameRule}` })
  .meta({ pattern: "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$" });

export const status = oneOf(instanceStatuses);

/** A revision, an incarnation, or another counter of the registry. */
export const counter = integer(0, Number.MAX_SAFE_INTEGER);

/** Where a member is reached: scheme, host and port, nothing more. */
export const memberUrl = z
  .string({ error: "must be an address such as http://10.0.0.1:7401" })
  .refine(isMemberUrl, { error: "must be an address such as http://10.0.0.1:7401, without a path" })
  .meta({ format: "uri" });

function isMemberUrl(value: string): boolean {
  if (value.length > 512 || !URL.canParse(value)) return false;
  const url = new URL(value);
  const isPlain = url.username === "" && url.password === "" && url.pathname === "/" && url.search === "";
  return (url.protocol === "http:" || url.protocol === "https:") && isPlain && url.hash === "";
}
