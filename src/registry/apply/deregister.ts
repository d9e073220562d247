/**
 * Deregister: at once, and never held back by protection, because somebody said so.
 */

import type { CommandResult, Deregister } from "../commands.ts";
import { notRegistered, removeInstance, type Applying, type Source } from "./change.ts";
import { checkIncarnation } from "./guards.ts";

export function applyDeregister(applying: Applying, command: Deregister, source: Source): CommandResult {
  const { state } = applying;
  const registration = state.catalog.find(command);
  if (registration === null) return notRegistered(command);
  const refused = checkIncarnation(registration, command.incarnation);
  if (refused !== null) return refused;
  removeInstance(applying, registration, "deregistered", source, { type: "deregistered", reason: null });
  return { ok: true, kind: "deregister", revision: state.counters.revision };
}
