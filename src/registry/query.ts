/**
 * Discovery's filter: which instances match, and why others do not. It looks at what everybody sees, the operator's layer included.
 */

import { effective, type Declaration, type Instance } from "./model.ts";
import type { InstanceFilter } from "./view.ts";

export function matches(instance: Instance, filter: InstanceFilter): boolean {
  const shown = effective(instance);
  return (
    (filter.statuses === null || filter.statuses.includes(shown.status)) &&
    (filter.version === null || filter.version === shown.version) &&
    (filter.zone === null || filter.zone === shown.zone) &&
    filter.tags.every((tag) => shown.tags.includes(tag)) &&
    filter.metadata.every((pair) => hasPair(shown, pair))
  );
}

function hasPair(shown: Declaration, [key, value]: readonly [string, string]): boolean {
  return valueOf(shown, key) === value;
}

function valueOf(shown: Declaration, key: string): string | null {
  return shown.metadata.find(([name]) => name === key)?.[1] ?? null;
}

/** One sentence for each condition that the instance does not meet; empty when it matches. */
export function mismatches(instance: Instance, filter: InstanceFilter): readonly string[] {
  const shown = effective(instance);
  const reasons: string[] = [];
  if (filter.statuses !== null && !filter.statuses.includes(shown.status)) {
    reasons.push(
      `status is ${shown.status}${statusOrigin(instance)}, and ${filter.statuses.join(" or ")} was asked for`,
    );
  }
  for (const name of ["version", "zone"] as const) {
    const wanted = filter[name];
    if (wanted !== null && wanted !== shown[name]) {
      reasons.push(`${name} is ${quote(shown[name])}, and ${quote(wanted)} was asked for`);
    }
  }
  for (const tag of filter.tags) {
    if (!shown.tags.includes(tag)) reasons.push(`it has no tag ${quote(tag)}`);
  }
  for (const [key, wanted] of filter.metadata) {
    const found = valueOf(shown, key);
    if (found !== wanted) {
      reasons.push(`metadata ${quote(key)} is ${quote(found)}, and ${quote(wanted)} was asked for`);
    }
  }
  return reasons;
}

function statusOrigin(instance: Instance): string {
  const { override } = instance;
  if (override === null || override.status === null) return "";
  return ` by an operator's override (${override.reason})`;
}

function quote(text: string | null): string {
  return text === null ? "not set" : JSON.stringify(text);
}
