/** The registry's shapes as JSON: what `answer-schemas.ts` describes. */

import type { CommandResult, Failure } from "../registry/commands.ts";
import { effective, type Instance, type InstanceKey, type Override } from "../registry/model.ts";
import type { HistoryEvent } from "../registry/view.ts";
import type { RegistryMember } from "../replica/member.ts";
import { problemKinds } from "./problem.ts";

type Json = Readonly<Record<string, unknown>>;

/** An instance as lists and watches show it: a function of the instance alone, so that it can be encoded once for everybody. */
export function instanceJson(instance: Instance): Json {
  const { override } = instance;
  const shown = effective(instance);
  return {
    namespace: instance.namespace,
    service: instance.service,
    id: instance.id,
    host: shown.host,
    port: shown.port,
    ...(shown.scheme !== null && { scheme: shown.scheme }),
    ...(shown.version !== null && { version: shown.version }),
    ...(shown.zone !== null && { zone: shown.zone }),
    weight: shown.weight,
    tags: shown.tags,
    metadata: Object.fromEntries(shown.metadata),
    status: shown.status,
    ttlMs: shown.ttlMs,
    incarnation: instance.incarnation,
    revision: instance.revision,
    registeredAt: rfc3339(instance.registeredAt),
    ...(instance.suspect && { suspect: true }),
    ...(override !== null && { override: layerJson(override), declared: hiddenJson(instance, override) }),
  };
}

/** An instance that is answered alone: with what depends on the moment too. */
export function singleInstanceJson(member: RegistryMember, instance: Instance): Json {
  const shown = instanceJson(instance);
  const endsAt = instance.override?.endsAt ?? null;
  const expiresInMs = untilExpiryMs(member, instance);
  return {
    ...shown,
    ...(endsAt !== null && {
      override: { ...(shown["override"] as Json), endsInMs: Math.max(0, endsAt - member.clusterNow()) },
    }),
    ...(expiresInMs !== null && { expiresInMs }),
  };
}

/** As this member sees it; null when it sees no such lease. */
function untilExpiryMs(member: RegistryMember, key: InstanceKey): number | null {
  const deadline = member.registry.deadline(key);
  return deadline === null ? null : Math.max(0, Math.round(deadline - member.clusterNow()));
}

function layerJson(layer: Override): Json {
  return {
    ...(layer.weight !== null && { weight: layer.weight }),
    ...(layer.tags !== null && { tags: layer.tags }),
    ...(layer.status !== null && { status: layer.status }),
    reason: layer.reason,
  };
}

function hiddenJson({ declared }: Instance, layer: Override): Json {
  return {
    ...(layer.weight !== null && { weight: declared.weight }),
    ...(layer.tags !== null && { tags: declared.tags }),
    ...(layer.status !== null && { status: declared.status }),
  };
}

export function historyJson(event: HistoryEvent): Json {
  return {
    revision: event.revision,
    at: rfc3339(event.at),
    type: event.type,
    ...(event.id !== null && { id: event.id }),
    ...(event.incarnation !== null && { incarnation: event.incarnation }),
    ...(event.reason !== null && { reason: event.reason }),
    ...(event.by !== null && { by: event.by }),
    ...(event.member !== null && { member: event.member }),
    ...(event.lastRenewal !== null && { lastRenewal: rfc3339(event.lastRenewal) }),
  };
}

/** The part of the TTL after which a client should renew, before jitter: three tries fit into one TTL. */
const renewalShare = 1 / 3;
/** Renewals that were in step drift apart by up to this share. Only ever earlier, so that the three tries stay. */
const renewalJitter = 1 / 5;

/** Under full load renewals come by so much less often: after half of the TTL at most, so that two tries still fit into it. */
const renewalStretch = 1 / 2;

/** How soon a client should come back, by the load of the member that it came to. */
export interface Pace {
  readonly random: () => number;
  /** In [0, 1]. */
  readonly load: () => number;
}

/** A third of the TTL, up to a half of it under load; less a random part of up to a fifth of that. */
export function renewAfterMs(ttlMs: number, { random, load }: Pace): number {
  const share = renewalShare * (1 + renewalStretch * load());
  return Math.floor(ttlMs * share * (1 - renewalJitter * random()));
}

/**
 * What is surely left of a lease that was renewed by a request that began `elapsedMs` ago: the lease runs from its commit, which was
 * later. The member's own picture may not have the renewal yet, because renewals are not waited for.
 */
export function leftAfterRenewalMs(ttlMs: number, elapsedMs: number): number {
  return Math.max(0, Math.floor(ttlMs - elapsedMs));
}

export interface Rendering {
  readonly member: RegistryMember;
  readonly pace: Pace;
  /** Since the request came, milliseconds. */
  readonly elapsedMs: number;
}

export function renewedJson(
  { ttlMs, incarnation }: { readonly ttlMs: number; readonly incarnation: number },
  { pace, elapsedMs }: Rendering,
): Json {
  return {
    ttlMs,
    expiresInMs: leftAfterRenewalMs(ttlMs, elapsedMs),
    renewAfterMs: renewAfterMs(ttlMs, pace),
    incarnation,
  };
}

export interface RenderedResult {
  readonly status: number;
  readonly body: Json;
}

/** The answer of the single call that a command's success stands for. */
export function successJson(result: Exclude<CommandResult, Failure>, rendering: Rendering): RenderedResult {
  const { member, pace } = rendering;
  switch (result.kind) {
    case "register": {
      const { instance, revision, created, changed } = result;
      const body = { instance: singleInstanceJson(member, instance), revision, created, changed };
      return {
        status: created ? 201 : 200,
        body: { ...body, renewAfterMs: renewAfterMs(instance.declared.ttlMs, pace) },
      };
    }
    case "renewOne":
      return { status: 200, body: renewedJson(result, rendering) };
    case "patch":
    case "setOverride": {
      const { instance, revision, changed } = result;
      return { status: 200, body: { instance: singleInstanceJson(member, instance), revision, changed } };
    }
    case "deregister":
      return { status: 200, body: { revision: result.revision } };
    case "setSettings":
      return { status: 200, body: { settings: result.settings, revision: result.revision } };
    case "renew":
    case "expire":
    case "presence":
    case "batch":
      throw new Error(`a result of kind ${result.kind} has no answer of its own`);
  }
}

/** One failed operation of a batch: what the single call's problem would have said. */
export function failureJson(failure: Failure): RenderedResult {
  const { code, detail, revision } = failure;
  const { status, title, retryable } = problemKinds[code];
  return {
    status,
    body: {
      type: `/errors/${code}`,
      title,
      code,
      detail,
      retryable,
      outcome: "not_applied",
      ...(code === "precondition_failed" && revision !== null && { currentRevision: revision }),
    },
  };
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
