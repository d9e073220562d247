/**
 * The one way in which anything visible changes: it raises the revision by one, and leaves exactly one event and one line of history.
 */

import type { DeleteReason, Failure, RegistryEvent } from "../commands.ts";
import { HistoryLine } from "../history.ts";
import { registryLimits, type Instance, type InstanceKey } from "../model.ts";
import { ParkedOverride } from "../parked-overrides.ts";
import { keyText, type Registration } from "../registration.ts";
import type { Service } from "../service.ts";
import type { RegistryState } from "../state.ts";
import type { HistoryEvent } from "../view.ts";

/** What all commands of one entry share, and what they leave. */
export interface Applying {
  readonly state: RegistryState;
  /** The events of this entry, in order. */
  readonly events: RegistryEvent[];
}

/** Who brought the command that makes a change. */
export interface Source {
  readonly member: string;
  /** Wall clock, for people. */
  readonly at: number;
  readonly by: string | null;
}

/** Why a change was made, for the history. */
export interface Note {
  readonly type: HistoryEvent["type"];
  readonly reason: string | null;
  /** Cluster time. */
  readonly lastRenewal?: number;
}

/** What the caller decides of an instance; revision and incarnation come from the change itself. */
type Face = Omit<Instance, "revision" | "incarnation">;

export type FaceChanges = Partial<Omit<Face, keyof InstanceKey>> & {
  /** Gives the instance a new incarnation. */
  readonly isNewRegistration?: boolean;
};

/** Every instance is made here, with its fields in one order: objects of one shape are small and quick to read. */
function makeInstance(face: Face, incarnation: number, revision: number): Instance {
  return {
    namespace: face.namespace,
    service: face.service,
    id: face.id,
    incarnation,
    revision,
    session: face.session,
    declared: face.declared,
    override: face.override,
    registeredAt: face.registeredAt,
    suspect: face.suspect,
  };
}

/** A new registration's first face. The caller makes the registration of it, and grants its lease. */
export function firstInstance(state: RegistryState, face: Face): Instance {
  const revision = state.nextRevision();
  return makeInstance(face, revision, revision);
}

/** Tells everybody of an instance that has been added. */
export function announceAdded(
  applying: Applying,
  service: Service,
  instance: Instance,
  source: Source,
  note: Note,
): void {
  announce(applying, service, { type: "put", revision: instance.revision, instance }, source, {
    ...note,
    instance,
  });
}

/** Gives a registered instance a new face, and tells everybody. */
export function changeInstance(
  applying: Applying,
  registration: Registration,
  changes: FaceChanges,
  source: Source,
  note: Note,
): Instance {
  const { state } = applying;
  const service = state.catalog.serviceOf(registration.instance);
  const revision = state.nextRevision();
  const incarnation = changes.isNewRegistration === true ? revision : registration.instance.incarnation;
  const instance = makeInstance({ ...registration.instance, ...changes }, incarnation, revision);
  service.replace(registration, instance);
  state.changed.put(registration);
  announce(applying, service, { type: "put", revision, instance }, source, { ...note, instance });
  return instance;
}

/** Removes a registration with its lease; its operator's layer waits for the next one under the same id. */
export function removeInstance(
  applying: Applying,
  registration: Registration,
  reason: DeleteReason,
  source: Source,
  note: Note,
): void {
  const { state } = applying;
  const { instance } = registration;
  const service = state.catalog.serviceOf(instance);
  const revision = state.nextRevision();
  state.leases.release(registration);
  state.overrideEnds.delete(registration.slot);
  service.remove(registration);
  state.changed.remove(registration);
  if (instance.override !== null) {
    state.parkedOverrides.park(new ParkedOverride(keyText(instance), instance.override, state.now, revision));
  }
  const { namespace, service: name, id } = instance;
  const event: RegistryEvent = { type: "delete", revision, reason, namespace, service: name, id };
  announce(applying, service, event, source, { ...note, instance });
  if (registration.isHeldByProtection) endHold(applying, service, source);
}

/** One instance fewer is held; with the last of them protection ends. Its line of history is about the service and names no id. */
export function endHold(applying: Applying, service: Service, source: Source): void {
  service.heldCount -= 1;
  if (service.isProtected) return;
  changeService(applying, service, source, {
    type: "recovered",
    reason: "protection ended: no instance is held any more",
  });
}

/** Tells everybody of a change of the service itself. */
export function changeService(applying: Applying, service: Service, source: Source, note: Note): void {
  const event: RegistryEvent = {
    type: "service",
    revision: applying.state.nextRevision(),
    namespace: service.namespace,
    service: service.name,
    protected: service.isProtected,
  };
  announce(applying, service, event, source, { ...note, instance: null });
}

function announce(
  applying: Applying,
  service: Service,
  event: RegistryEvent,
  source: Source,
  note: Note & { readonly instance: Instance | null },
): void {
  const { state, events } = applying;
  service.revision = event.revision;
  state.catalog.noteEmptiness(service, state.now);
  state.changed.put(service);
  state.events.push(event, state.now);
  events.push(event);
  addHistory(state, service, {
    revision: event.revision,
    at: source.at,
    type: note.type,
    id: note.instance?.id ?? null,
    incarnation: note.instance?.incarnation ?? null,
    reason: note.reason,
    by: source.by,
    member: source.member,
    // People read wall clocks: the proposer's, less the cluster time that has passed since.
    lastRenewal: note.lastRenewal === undefined ? null : source.at - (state.now - note.lastRenewal),
  });
}

function addHistory(state: RegistryState, service: Service, event: HistoryEvent): void {
  const line = new HistoryLine(service.namespace, service.name, event);
  service.history.push(line);
  state.changed.put(line);
  if (service.history.length <= registryLimits.historyPerService) return;
  const oldest = service.history.shift();
  if (oldest !== undefined) state.changed.remove(oldest);
}

export function failure(code: Failure["code"], detail: string, revision: number | null = null): Failure {
  return { ok: false, code, detail, revision };
}

export function notRegistered(key: InstanceKey): Failure {
  return failure(
    "not_registered",
    `${key.id} is not registered in service ${key.service} of namespace ${key.namespace}; register it again`,
  );
}
