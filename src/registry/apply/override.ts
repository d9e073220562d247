/**
 * The operator's layer: set, cleared, or ended by its time. It says nothing about whether the instance is alive.
 */

import { hasAtMost } from "../../lib/characters.ts";
import type { CommandResult, SetOverride } from "../commands.ts";
import {
  canonicalTags,
  firstBroken,
  isSameList,
  isWhole,
  tagRules,
  tooLong,
  weightRule,
} from "../declaration.ts";
import { registryLimits, type Override } from "../model.ts";
import type { Registration } from "../registration.ts";
import { changeInstance, failure, notRegistered, type Applying, type Source } from "./change.ts";

type Layer = NonNullable<SetOverride["layer"]>;

export function applySetOverride(applying: Applying, command: SetOverride, source: Source): CommandResult {
  const registration = applying.state.catalog.find(command);
  if (registration === null) return notRegistered(command);
  const fault = command.layer === null ? null : layerFault(command.layer);
  if (fault !== null) return failure("invalid_argument", fault, registration.instance.revision);

  const override = command.layer === null ? null : layerFrom(command.layer, applying.state.now);
  const changed = !isSameOverride(registration.instance.override, override);
  if (changed) {
    const reason = override === null ? "cleared" : override.reason;
    setOverride(applying, registration, override, source, reason);
  }
  const { instance } = registration;
  return { ok: true, kind: "setOverride", instance, revision: instance.revision, changed };
}

/** The layer's time has come. */
export function endOverride(applying: Applying, registration: Registration, source: Source): void {
  setOverride(applying, registration, null, source, "ended");
}

function setOverride(
  applying: Applying,
  registration: Registration,
  override: Override | null,
  source: Source,
  reason: string,
): void {
  changeInstance(applying, registration, { override }, source, { type: "override", reason });
  applying.state.noteOverrideEnd(registration);
}

function layerFault(layer: Layer): string | null {
  const { weightMax, reasonChars, overrideEndsInMsMax } = registryLimits;
  return firstBroken(layer, [
    [({ weight }) => weight !== null && !isWhole(weight, 0, weightMax), weightRule],
    ...tagRules(({ tags }: Layer) => tags ?? []),
    [({ reason }) => !hasAtMost(reasonChars, reason), tooLong("reason", reasonChars)],
    [
      ({ endsInMs }) => endsInMs !== null && !isWhole(endsInMs, 1, overrideEndsInMsMax),
      `endsInMs must be a whole number from 1 to ${overrideEndsInMsMax}`,
    ],
  ]);
}

function layerFrom(layer: Layer, now: number): Override {
  return {
    weight: layer.weight,
    tags: layer.tags === null ? null : canonicalTags(layer.tags),
    status: layer.status,
    reason: layer.reason,
    endsAt: layer.endsInMs === null ? null : now + layer.endsInMs,
  };
}

function isSameOverride(left: Override | null, right: Override | null): boolean {
  if (left === null || right === null) return left === right;
  return (
    left.weight === right.weight &&
    left.status === right.status &&
    left.reason === right.reason &&
    left.endsAt === right.endsAt &&
    (left.tags === null || right.tags === null ? left.tags === right.tags : isSameList(left.tags, right.tags))
  );
}
