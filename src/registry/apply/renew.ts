/**
 * Renewals: many by handle, and one by name.
 */

import type { CommandResult, Renew, RenewOne } from "../commands.ts";
import { notRegistered, type Applying, type Source } from "./change.ts";
import { checkIncarnation } from "./guards.ts";
import { changeAlive, renewLease, showLife } from "./life.ts";

export function applyRenew(applying: Applying, command: Renew, source: Source): CommandResult {
  const { leases } = applying.state;
  const via = applying.state.memberNumber(source.member);
  const ttlsMs = command.handles.map((handle) => {
    const registration = leases.holder(handle);
    if (registration === null) return 0;
    showLife(applying, registration, via, source);
    return registration.instance.declared.ttlMs;
  });
  return { ok: true, kind: "renew", ttlsMs };
}

export function applyRenewOne(applying: Applying, command: RenewOne, source: Source): CommandResult {
  const { state } = applying;
  const registration = state.catalog.find(command);
  if (registration === null) return notRegistered(command);
  const refused = checkIncarnation(registration, command.incarnation);
  if (refused !== null) return refused;

  const via = state.memberNumber(source.member);
  const { declared } = registration.instance;
  const { status } = command;
  let changed: boolean;
  if (status === null || status === declared.status) {
    changed = showLife(applying, registration, via, source);
  } else {
    changed = true;
    renewLease(applying, registration, via);
    const note = { type: "status", reason: `${declared.status} -> ${status}` } as const;
    changeAlive(applying, registration, { declared: { ...declared, status } }, source, note);
  }
  const { instance } = registration;
  const { incarnation } = instance;
  return { ok: true, kind: "renewOne", incarnation, ttlMs: declared.ttlMs, instance, changed };
}
