/**
 * One entry: its envelopes in order, with nothing between; and what every entry tidies up besides.
 */

import {
  commandVersion,
  type Batch,
  type Command,
  type CommandBatch,
  type CommandResult,
  type Envelope,
} from "../commands.ts";
import { kindNumbers } from "../command-codec.ts";
import { commandFingerprint, KeptResult } from "../idempotency.ts";
import { registryLimits } from "../model.ts";
import type { RegistryState } from "../state.ts";
import { UnknownCommandError } from "../unknown-command.ts";
import { failure, type Applying, type Source } from "./change.ts";
import { applyDeregister } from "./deregister.ts";
import { applyExpire } from "./expire.ts";
import { applySetOverride } from "./override.ts";
import { applyPatch } from "./patch.ts";
import { applyPresence } from "./presence.ts";
import { applyRegister } from "./register.ts";
import { applyRenew, applyRenewOne } from "./renew.ts";
import { applySetSettings } from "./settings.ts";

export function applyEnvelopes(applying: Applying, batch: CommandBatch): CommandResult[] {
  refuseUnknown(batch);
  return batch.envelopes.map((envelope) => applyEnvelope(applying, envelope));
}

/** Before anything is applied: a member that stops must not have half an entry in its state. */
function refuseUnknown(batch: CommandBatch): void {
  if (batch.version !== commandVersion) {
    throw new UnknownCommandError(`commands of version ${batch.version}`);
  }
  for (const { command } of batch.envelopes) {
    const operations = command.kind === "batch" ? command.operations : [];
    for (const { kind } of [command, ...operations]) {
      if (!Object.hasOwn(kindNumbers, kind)) throw new UnknownCommandError(`a command of kind ${kind}`);
    }
  }
}

function applyEnvelope(applying: Applying, envelope: Envelope): CommandResult {
  const { command, idempotencyKey } = envelope;
  if (idempotencyKey === null) return applyCommand(applying, command, envelope);
  return applyOnce(applying, idempotencyKey, command, envelope);
}

/** Failures are kept too: a repeat must not succeed where the client was told that the first did not. */
function applyOnce(applying: Applying, key: string, command: Command, source: Source): CommandResult {
  const { state } = applying;
  const fingerprint = commandFingerprint(command);
  const kept = state.keptResults.find(key, state.now);
  if (kept !== null) {
    if (kept.fingerprint === fingerprint) return kept.result;
    return failure("conflict", `the idempotency key ${key} was used for another request; draw a new one`);
  }
  const result = applyCommand(applying, command, source);
  state.counters.keptResultSequence += 1;
  const sequence = state.counters.keptResultSequence;
  state.keptResults.keep(new KeptResult({ key, sequence, at: state.now, fingerprint, result }));
  return result;
}

function applyCommand(applying: Applying, command: Command, source: Source): CommandResult {
  switch (command.kind) {
    case "register":
      return applyRegister(applying, command, source);
    case "renew":
      return applyRenew(applying, command, source);
    case "renewOne":
      return applyRenewOne(applying, command, source);
    case "patch":
      return applyPatch(applying, command, source);
    case "deregister":
      return applyDeregister(applying, command, source);
    case "expire":
      return applyExpire(applying, source);
    case "setOverride":
      return applySetOverride(applying, command, source);
    case "setSettings":
      return applySetSettings(applying, command, source);
    case "presence":
      return applyPresence(applying, command, source);
    case "batch":
      return applyBatch(applying, command, source);
  }
}

function applyBatch(applying: Applying, command: Batch, source: Source): CommandResult {
  const results = command.operations.map((operation) => applyCommand(applying, operation, source));
  return { ok: true, kind: "batch", results, revision: applying.state.counters.revision };
}

/**
 * Lets go of what has become too old, in every entry and within bounds, so that all members do it alike. Nothing of it is visible as a
 * change.
 */
export function tidy(state: RegistryState): void {
  const limit = registryLimits.tidiedPerEntry;
  state.events.tidy(state.now, limit);
  state.keptResults.tidy(state.now, limit);
  state.parkedOverrides.tidy(state.now, limit);
  state.leases.tidy(state.now, limit);
  forgetEmptyServices(state, limit);
}

function forgetEmptyServices(state: RegistryState, limit: number): void {
  const { catalog, counters, changed } = state;
  for (let i = 0; i < limit; i += 1) {
    const service = catalog.oldestEmpty();
    const { emptySince } = service ?? { emptySince: null };
    if (service === null || emptySince === null) return;
    if (emptySince > state.now - registryLimits.emptyServiceKeptMs) return;
    counters.forgottenRevision = Math.max(counters.forgottenRevision, service.revision);
    catalog.forget(service);
    changed.remove(service);
    for (const line of service.history) changed.remove(line);
  }
}
