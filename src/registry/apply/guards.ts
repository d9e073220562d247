/**
 * What a command may presume about the instance that it names.
 */

import type { Failure } from "../commands.ts";
import type { InstanceKey } from "../model.ts";
import type { Registration } from "../registration.ts";
import { failure, notRegistered } from "./change.ts";

/**
 * Null when `incarnation` names the present registration, or nothing in particular. An older one has been replaced, and its process
 * must stop; a newer one has never been, as far as this log goes.
 */
export function checkIncarnation(registration: Registration, incarnation: number | null): Failure | null {
  const { instance } = registration;
  if (incarnation === null || incarnation === instance.incarnation) return null;
  if (incarnation > instance.incarnation) return notRegistered(instance);
  return failure(
    "superseded",
    `incarnation ${incarnation} of ${instance.id} in service ${instance.service} has been replaced by ${instance.incarnation}: ` +
      `another process holds this id`,
    instance.revision,
  );
}

export function checkRevision(
  key: InstanceKey,
  registration: Registration | null,
  ifRevision: number | null,
): Failure | null {
  if (ifRevision === null || registration?.instance.revision === ifRevision) return null;
  const found =
    registration === null ? "it is not registered" : `its revision is ${registration.instance.revision}`;
  return failure(
    "precondition_failed",
    `${key.id} in service ${key.service} was expected at revision ${ifRevision}, but ${found}`,
    registration?.instance.revision ?? null,
  );
}
