/**
 * Finds the load class of a request from its first line alone, before anything else is done for it. Made from the endpoints' policies, and
 * much quicker than finding the endpoint itself.
 */

import { endpoints, pathsOf } from "./endpoints.ts";
import { loadClasses, type LoadClass } from "./policy.ts";

type Rule = readonly [LoadClass, RegExp];

const rules: ReadonlyMap<string, readonly Rule[]> = makeRules();

/** What no endpoint has is answered cheaply, and last. */
const otherwise: LoadClass = "list";

export function loadClassOf(method: string, target: string): LoadClass {
  const rulesOfMethod = rules.get(method);
  if (rulesOfMethod === undefined) return otherwise;
  // Who waits for a change keeps its place as long as a watch does.
  if (method === "GET" && target.includes("afterRevision=")) return "list";
  for (const [loadClass, pattern] of rulesOfMethod) if (pattern.test(target)) return loadClass;
  return otherwise;
}

function makeRules(): Map<string, readonly Rule[]> {
  const made = new Map<string, readonly Rule[]>();
  for (const method of new Set(endpoints.map((endpoint) => endpoint.method))) {
    const rulesOfMethod = loadClasses.flatMap((loadClass): Rule[] => {
      const paths = endpoints
        .filter((endpoint) => endpoint.method === method && endpoint.policy.load === loadClass)
        .flatMap(pathsOf);
      return paths.length === 0 ? [] : [[loadClass, anyOf(paths)]];
    });
    made.set(method, rulesOfMethod);
  }
  const get = made.get("GET");
  if (get !== undefined) made.set("HEAD", get);
  return made;
}

function anyOf(paths: readonly string[]): RegExp {
  const patterns = paths.map((path) => path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/?]+"));
  return new RegExp(`^(?:${patterns.join("|")})(?:\\?|$)`);
}
