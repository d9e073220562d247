/**
 * Mass-expiry protection: when most of a service stops renewing at once, the likelier explanation is that the registry's clients cannot
 * reach it, not that they all died.
 */

import type { ProtectionWindow, Service } from "./service.ts";

/**
 * Decides whether one more instance of the service may expire now, and counts it if so. The first expiry after a window has ended
 * opens the next one, whose base is what is listed at that moment.
 */
export function mayExpire(service: Service, now: number): boolean {
  const settings = service.effectiveSettings;
  const window = currentWindow(service, now, settings.protectionWindowMs);
  const removed = window.removed + 1;
  const mostRemoved = Math.floor((window.base * settings.protectionMaxExpiredPercent) / 100);
  const isAllowed = window.base < settings.protectionMinInstances || removed <= mostRemoved;
  service.window = isAllowed ? { ...window, removed } : window;
  return isAllowed;
}

function currentWindow(service: Service, now: number, lengthMs: number): ProtectionWindow {
  const { window } = service;
  if (window !== null && now - window.startedAt < lengthMs) return window;
  return { startedAt: now, base: service.instanceCount, removed: 0 };
}

/** Why an instance is held, for the history. */
export function holdReason(service: Service): string {
  const { window } = service;
  return `overdue, and held by protection: ${window?.removed ?? 0} of ${window?.base ?? 0} have expired lately`;
}
