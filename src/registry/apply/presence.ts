/**
 * Presence: an instance may hang on a client's open connection. The member that holds the connection renews for it, and proposes the
 * break when it sees the connection die; the death of the member itself proposes nothing.
 */

import type { CommandResult, PresenceChange } from "../commands.ts";
import { isWhole } from "../declaration.ts";
import { registryLimits } from "../model.ts";
import type { Registration } from "../registration.ts";
import { failure, type Applying, type Source } from "./change.ts";
import { lastRenewalOf, showLife, suspect } from "./life.ts";

export function applyPresence(applying: Applying, command: PresenceChange, source: Source): CommandResult {
  const { lingerMsMax } = registryLimits;
  if (!isWhole(command.lingerMs, 0, lingerMsMax)) {
    return failure("invalid_argument", `lingerMs must be a whole number from 0 to ${lingerMsMax}`);
  }
  return command.change === "attach"
    ? attach(applying, command, source)
    : breakConnection(applying, command, source);
}

/** Of the instances named, those that are registered with that very incarnation. */
function named(applying: Applying, command: PresenceChange): (Registration | null)[] {
  return command.instances.map((key) => {
    const registration = applying.state.catalog.find(key);
    return registration?.instance.incarnation === key.incarnation ? registration : null;
  });
}

function attach(applying: Applying, command: PresenceChange, source: Source): CommandResult {
  const { state } = applying;
  state.counters.connection += 1;
  const { connection } = state.counters;
  const via = state.memberNumber(source.member);
  const attached = named(applying, command).map((registration) => {
    if (registration === null) return false;
    registration.connection = connection;
    state.changed.put(registration);
    showLife(applying, registration, via, source);
    return true;
  });
  return { ok: true, kind: "presence", connection, attached };
}

/** `attached` in the result: whether the instance still hangs on a connection, because it has come back by another one. */
function breakConnection(applying: Applying, command: PresenceChange, source: Source): CommandResult {
  const { connection, lingerMs } = command;
  const attached = named(applying, command).map((registration) => {
    if (registration === null) return false;
    if (registration.connection !== connection) return registration.connection !== 0;
    detach(applying, registration, lingerMs, source);
    return false;
  });
  return { ok: true, kind: "presence", connection, attached };
}

function detach(applying: Applying, registration: Registration, lingerMs: number, source: Source): void {
  const { state } = applying;
  const { connection } = registration;
  registration.connection = 0;
  state.changed.put(registration);
  // Protection holds it already, and a connection that ends adds nothing to what is known.
  if (registration.suspicion !== null) return;
  const suspicion = { cause: "presence", lastRenewal: lastRenewalOf(applying, registration) } as const;
  suspect(applying, registration, suspicion, state.now + lingerMs, source, `connection ${connection} broke`);
}
