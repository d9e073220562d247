/**
 * Patch: changes what a client declared, by whomever. It keeps the incarnation, and is no sign of life: an operator may be its author.
 */

import { hasAtMost } from "../../lib/characters.ts";
import type { CommandResult, Patch } from "../commands.ts";
import { declarationFault, isSameDeclaration, patchedDeclaration, tooLong } from "../declaration.ts";
import { registryLimits, type Declaration } from "../model.ts";
import type { Registration } from "../registration.ts";
import { changeInstance, failure, notRegistered, type Applying, type Note, type Source } from "./change.ts";
import { checkIncarnation, checkRevision } from "./guards.ts";

export function applyPatch(applying: Applying, command: Patch, source: Source): CommandResult {
  const registration = applying.state.catalog.find(command);
  if (registration === null) return notRegistered(command);
  const refused =
    checkIncarnation(registration, command.incarnation) ??
    checkRevision(command, registration, command.ifRevision);
  if (refused !== null) return refused;

  const { reason } = command;
  if (reason !== undefined && !hasAtMost(registryLimits.reasonChars, reason)) {
    return failure("invalid_argument", tooLong("reason", registryLimits.reasonChars));
  }
  const { declared } = registration.instance;
  const patched = patchedDeclaration(declared, command.changes);
  const fault = declarationFault(patched);
  if (fault !== null) {
    return failure("invalid_argument", `with the patch ${fault}`, registration.instance.revision);
  }
  const changed = !isSameDeclaration(declared, patched);
  if (changed) {
    const note = noteOf(declared, patched, reason);
    changeInstance(applying, registration, { declared: patched }, source, note);
    if (patched.ttlMs !== declared.ttlMs) restartLease(applying, registration);
  }
  const { instance } = registration;
  return { ok: true, kind: "patch", instance, revision: instance.revision, changed };
}

/**
 * A new length starts now. Counted from the last renewal it could have passed already, and the client that renews by the old rhythm
 * would lose its lease before it hears of the new one. A suspect instance keeps the deadline of its suspicion.
 */
function restartLease(applying: Applying, registration: Registration): void {
  if (registration.suspicion !== null) return;
  const { state } = applying;
  const { slot, instance } = registration;
  state.leases.move(slot, state.now + instance.declared.ttlMs, state.leases.via(slot));
}

const declarationNames = [
  "host",
  "port",
  "scheme",
  "version",
  "zone",
  "weight",
  "tags",
  "metadata",
  "status",
  "ttlMs",
] as const satisfies readonly (keyof Declaration)[];

function noteOf(before: Declaration, after: Declaration, why: string | undefined): Note {
  const changed = declarationNames.filter((name) => !isSameValue(before[name], after[name]));
  const given = why === undefined ? "" : `: ${why}`;
  if (changed.length === 1 && changed[0] === "status") {
    return { type: "status", reason: `${before.status} -> ${after.status}${given}` };
  }
  return { type: "patched", reason: `changed ${changed.join(", ")}${given}` };
}

/** Of fields, which are plain values, lists and pairs. */
function isSameValue(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.length === right.length && left.every((item, i) => isSameValue(item, right[i]));
}
