/**
 * Signs of life: what a renewal, and everything that counts as one, does to a lease and to a suspicion.
 */

import type { Instance } from "../model.ts";
import type { Registration, Suspicion } from "../registration.ts";
import {
  changeInstance,
  endHold,
  type Applying,
  type FaceChanges,
  type Note,
  type Source,
} from "./change.ts";

/** Starts the lease anew, from the entry's own time, also when it was overdue: whoever is still listed may renew. */
export function renewLease(applying: Applying, registration: Registration, via: number): void {
  const { state } = applying;
  state.leases.move(registration.slot, state.now + registration.instance.declared.ttlMs, via);
}

/** A renewal by somebody who wants nothing changed: visible only when it ends a suspicion. Returns whether it was. */
export function showLife(
  applying: Applying,
  registration: Registration,
  via: number,
  source: Source,
): boolean {
  renewLease(applying, registration, via);
  if (registration.suspicion === null) return false;
  changeAlive(applying, registration, {}, source, { type: "recovered", reason: "renewed" });
  return true;
}

/** A visible change by somebody who is alive: it ends a suspicion, and with the last of them the service's protection. */
export function changeAlive(
  applying: Applying,
  registration: Registration,
  changes: FaceChanges,
  source: Source,
  note: Note,
): Instance {
  const wasHeld = registration.isHeldByProtection;
  registration.suspicion = null;
  const instance = changeInstance(applying, registration, { ...changes, suspect: false }, source, note);
  if (wasHeld) endHold(applying, applying.state.catalog.serviceOf(instance), source);
  return instance;
}

/** Makes an instance suspect until `until`, unless it shows life. */
export function suspect(
  applying: Applying,
  registration: Registration,
  suspicion: Suspicion,
  until: number,
  source: Source,
  reason: string,
): void {
  const { state } = applying;
  registration.suspicion = suspicion;
  state.leases.move(registration.slot, until, state.leases.via(registration.slot));
  state.changed.put(registration);
  if (!registration.instance.suspect) {
    const { lastRenewal } = suspicion;
    changeInstance(applying, registration, { suspect: true }, source, {
      type: "suspect",
      reason,
      lastRenewal,
    });
  }
}

export function lastRenewalOf(applying: Applying, registration: Registration): number {
  const { suspicion, instance, slot } = registration;
  return suspicion?.lastRenewal ?? applying.state.leases.dueAt(slot) - instance.declared.ttlMs;
}
