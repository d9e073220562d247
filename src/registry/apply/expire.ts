/**
 * Expire: the only way in which time removes anything. It acts on what the entry's own time says is due, the earliest first, on at most
 * registryLimits.expiriesPerEntry things; what is left comes with the next entry.
 */

import type { CommandResult } from "../commands.ts";
import { registryLimits } from "../model.ts";
import { holdReason, mayExpire } from "../protection.ts";
import type { Registration } from "../registration.ts";
import type { RegistryState } from "../state.ts";
import { changeService, removeInstance, type Applying, type Source } from "./change.ts";
import { lastRenewalOf, suspect } from "./life.ts";
import { endOverride } from "./override.ts";

export function applyExpire(applying: Applying, source: Source): CommandResult {
  const { state } = applying;
  let expired = 0;
  let suspected = 0;
  for (let acted = 0; acted < registryLimits.expiriesPerEntry; acted += 1) {
    const due = firstDue(state);
    if (due === null || due.at > state.now) break;
    if (due.kind === "override") endOverride(applying, due.registration, source);
    else if (expireOne(applying, due.registration, source)) expired += 1;
    else suspected += 1;
  }
  return { ok: true, kind: "expire", expired, suspected };
}

interface Due {
  readonly kind: "lease" | "override";
  readonly at: number;
  readonly registration: Registration;
}

/** What is due first: a lease, a suspicion (both are the lease's deadline) or an operator's layer. */
export function firstDue(state: RegistryState): Due | null {
  const lease = state.leases.first();
  if (lease === null) return null;
  const leaseAt = state.leases.dueAt(lease.slot);
  const slot = state.overrideEnds.first();
  const endsAt = state.overrideEnds.timeOf(slot);
  const layered = slot < 0 ? null : state.leases.holderOf(slot);
  if (layered === null || leaseAt <= endsAt) return { kind: "lease", at: leaseAt, registration: lease };
  return { kind: "override", at: endsAt, registration: layered };
}

/** Returns whether the instance went; otherwise protection holds it from now on. */
function expireOne(applying: Applying, registration: Registration, source: Source): boolean {
  const { state } = applying;
  const service = state.catalog.serviceOf(registration.instance);
  // Whoever was held for its full time goes, whatever else happens to the service.
  if (!registration.isHeldByProtection && !mayExpire(service, state.now)) {
    hold(applying, registration, source);
    return false;
  }
  const lastRenewal = lastRenewalOf(applying, registration);
  const reason = expiryReason(state, registration);
  removeInstance(applying, registration, "expired", source, { type: "expired", reason, lastRenewal });
  return true;
}

function hold(applying: Applying, registration: Registration, source: Source): void {
  const { state } = applying;
  const service = state.catalog.serviceOf(registration.instance);
  const suspicion = { cause: "protection", lastRenewal: lastRenewalOf(applying, registration) } as const;
  const until = state.now + service.effectiveSettings.protectionHoldMs;
  // The window may have been opened by this very decision.
  state.changed.put(service);
  suspect(applying, registration, suspicion, until, source, holdReason(service));
  service.heldCount += 1;
  if (service.heldCount === 1) {
    changeService(applying, service, source, {
      type: "suspect",
      reason: "protected: too many were due at once",
    });
  }
}

function expiryReason(state: RegistryState, registration: Registration): string {
  const via = state.memberName(state.leases.via(registration.slot));
  const through = via === null ? "" : `, last through ${via}`;
  const { suspicion, instance } = registration;
  if (suspicion?.cause === "presence") return "its connection broke and did not come back in time";
  if (suspicion?.cause === "protection")
    return `overdue and held by protection until the end of the hold${through}`;
  return `not renewed for ${instance.declared.ttlMs} ms${through}`;
}
