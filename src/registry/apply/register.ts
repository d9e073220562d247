/**
 * Register: the same body from the same session only renews; everything else is a new registration with a new incarnation.
 */

import { hasAtMost } from "../../lib/characters.ts";
import type { CommandResult, Failure, Register } from "../commands.ts";
import { canonicalDeclaration, declarationFault, isSameDeclaration, tooLong } from "../declaration.ts";
import { registryLimits, type Declaration } from "../model.ts";
import { isName, nameRule } from "../names.ts";
import { Registration } from "../registration.ts";
import { announceAdded, failure, firstInstance, type Applying, type Source } from "./change.ts";
import { checkRevision } from "./guards.ts";
import { changeAlive, showLife } from "./life.ts";

export function applyRegister(applying: Applying, command: Register, source: Source): CommandResult {
  const refused = checkForm(command) ?? checkPreconditions(applying, command);
  if (refused !== null) return refused;
  const declared = canonicalDeclaration(command.declared);
  const present = applying.state.catalog.find(command);
  if (present === null) return registerNew(applying, command, declared, source);
  // A client that draws no session cannot be told from another one with the same body: it is taken for the same.
  const isSame =
    present.instance.session === command.session && isSameDeclaration(present.instance.declared, declared);
  return isSame
    ? registerAgain(applying, present, source)
    : replace(applying, present, command, declared, source);
}

function checkForm(command: Register): Failure | null {
  const parts = [
    ["namespace", command.namespace],
    ["service", command.service],
    ["id", command.id],
  ] as const;
  const broken = parts.find(([, name]) => !isName(name));
  if (broken !== undefined) return failure("invalid_argument", `${broken[0]} must be ${nameRule}`);
  if (command.session !== null && !hasAtMost(registryLimits.sessionChars, command.session)) {
    return failure("invalid_argument", tooLong("session", registryLimits.sessionChars));
  }
  const fault = declarationFault(command.declared);
  return fault === null ? null : failure("invalid_argument", fault);
}

function checkPreconditions(applying: Applying, command: Register): Failure | null {
  const present = applying.state.catalog.find(command);
  if (command.ifAbsent && present !== null) {
    return failure(
      "precondition_failed",
      `${command.id} is already registered in service ${command.service}`,
      present.instance.revision,
    );
  }
  return checkRevision(command, present, command.ifRevision);
}

function registerNew(
  applying: Applying,
  command: Register,
  declared: Declaration,
  source: Source,
): CommandResult {
  const { state } = applying;
  const service = state.catalog.ensure(command.namespace, command.service);
  const override = state.parkedOverrides.claim(command, state.now);
  const instance = firstInstance(state, {
    // The service's own strings: a million instances need not hold a million copies of its name.
    namespace: service.namespace,
    service: service.name,
    id: command.id,
    session: command.session,
    declared,
    override,
    registeredAt: source.at,
    suspect: false,
  });
  const registration = new Registration(instance, state.leases.freeSlot());
  service.add(registration);
  state.changed.put(registration);
  state.leases.grant(registration, state.now + declared.ttlMs, state.memberNumber(source.member));
  state.noteOverrideEnd(registration);
  announceAdded(applying, service, instance, source, { type: "registered", reason: null });
  return {
    ok: true,
    kind: "register",
    instance,
    revision: instance.revision,
    created: true,
    changed: true,
  };
}

function registerAgain(applying: Applying, present: Registration, source: Source): CommandResult {
  const changed = showLife(applying, present, applying.state.memberNumber(source.member), source);
  const { instance } = present;
  return { ok: true, kind: "register", instance, revision: instance.revision, created: false, changed };
}

function replace(
  applying: Applying,
  present: Registration,
  command: Register,
  declared: Declaration,
  source: Source,
): CommandResult {
  const { state } = applying;
  const isTakeover = present.instance.session !== command.session;
  // The connection belonged to the old incarnation, and so will its break.
  present.connection = 0;
  const instance = changeAlive(
    applying,
    present,
    { isNewRegistration: true, session: command.session, declared, registeredAt: source.at },
    source,
    { type: "replaced", reason: isTakeover ? "registered by another session" : "declared anew" },
  );
  state.leases.grant(present, state.now + declared.ttlMs, state.memberNumber(source.member));
  state.noteOverrideEnd(present);
  return { ok: true, kind: "register", instance, revision: instance.revision, created: false, changed: true };
}
