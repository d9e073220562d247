/**
 * What members answer, for /openapi.json and for the tests, which hold every answer against these. Nothing is validated with them while
 * serving: `render.ts` makes what they describe.
 */

import { z } from "zod";
import { errorCodes } from "../lib/errors.ts";
import { instanceStatuses } from "../registry/model.ts";

const revision = z.int().min(0).describe("Registry-wide change number; beside an instance, the instance's.");
const ms = z.int().min(0);
const time = z.iso.datetime().describe("RFC 3339, UTC.");
const statusName = z.enum(instanceStatuses);
const memberId = z.string();

const layered = {
  weight: z.int().optional(),
  tags: z.array(z.string()).optional(),
  status: statusName.optional(),
};

export const instance = z
  .strictObject({
    namespace: z.string(),
    service: z.string(),
    id: z.string(),
    host: z.string(),
    port: z.int(),
    scheme: z.string().optional(),
    version: z.string().optional(),
    zone: z.string().optional(),
    weight: z.int(),
    tags: z.array(z.string()),
    metadata: z.record(z.string(), z.string()),
    status: statusName,
    ttlMs: ms,
    incarnation: z.int().describe("Names this registration; also the handle of its lease."),
    revision,
    registeredAt: time,
    suspect: z.literal(true).optional().describe("Overdue, but held by protection or by a broken presence."),
    override: z
      .strictObject({ ...layered, reason: z.string(), endsInMs: ms.optional() })
      .optional()
      .describe("The operator's layer, which wins over what was declared."),
    declared: z.strictObject(layered).optional().describe("What the layer hides."),
    expiresInMs: ms
      .optional()
      .describe("As the answering member sees it; only where a single instance is answered."),
  })
  .meta({ id: "Instance" });

const renewAfterMs = ms.describe(
  "When to renew next: a third of the TTL, less a random part of up to a fifth.",
);

export const registered = z
  .strictObject({ instance, revision, created: z.boolean(), changed: z.boolean(), renewAfterMs })
  .meta({ id: "Registered" });
export const renewed = z
  .strictObject({ ttlMs: ms, expiresInMs: ms, renewAfterMs, incarnation: z.int() })
  .meta({ id: "Renewed" });
export const changedInstance = z
  .strictObject({ instance, revision, changed: z.boolean() })
  .meta({ id: "ChangedInstance" });
export const singleInstance = z.strictObject({ instance, revision }).meta({ id: "SingleInstance" });
export const deregistered = z.strictObject({ revision }).meta({ id: "Deregistered" });

export const drained = z
  .strictObject({
    revision,
    propagated: z.boolean(),
    waitingFor: z
      .array(memberId)
      .optional()
      .describe("Members with watches that have not been sent it, or that could not be asked."),
  })
  .meta({ id: "Drained" });

export const problem = z
  .strictObject({
    type: z.string().describe("A page about this kind of problem, at any member."),
    title: z.string(),
    status: z.int(),
    code: z.enum(errorCodes),
    detail: z.string(),
    retryable: z.boolean(),
    outcome: z.enum(["none", "not_applied", "unknown"]),
    requestId: z.string(),
    errors: z
      .array(z.strictObject({ pointer: z.string(), detail: z.string() }))
      .optional()
      .describe("JSON pointers into the body, or names of parameters."),
    currentRevision: z.int().optional(),
    retryAfterMs: ms.optional(),
  })
  .meta({ id: "Problem" });

export const renewalResults = z
  .strictObject({
    results: z.array(
      z.discriminatedUnion("ok", [
        z.strictObject({ ok: z.literal(true), expiresInMs: ms, incarnation: z.int() }),
        z.strictObject({ ok: z.literal(false), ...problem.pick({ code: true, detail: true }).shape }),
      ]),
    ),
    renewAfterMs,
  })
  .meta({ id: "RenewalResults" });

const itemStatus = { status: z.int().describe("What the single call would have answered.") };
export const batchResults = z
  .strictObject({
    results: z.array(
      z.union([
        registered.extend(itemStatus).meta({ id: "BatchRegistered" }),
        renewed.extend(itemStatus).meta({ id: "BatchRenewed" }),
        changedInstance.extend(itemStatus).meta({ id: "BatchChanged" }),
        deregistered.extend(itemStatus).meta({ id: "BatchDeregistered" }),
        problem
          .omit({ requestId: true, errors: true, retryAfterMs: true })
          .extend(itemStatus)
          .meta({ id: "BatchFailed" }),
      ]),
    ),
    revision,
  })
  .meta({ id: "BatchResults" });

export const discovered = z
  .strictObject({
    namespace: z.string(),
    service: z.string(),
    revision: z.int().describe("Of the service's last change."),
    protected: z.boolean().describe("Mass-expiry protection is holding overdue instances."),
    instances: z.array(instance),
  })
  .meta({ id: "Discovered" });

const next = z.string().optional().describe("Give it as cursor= for what follows; absent at the end.");
const counts = z.strictObject({
  total: z.int(),
  up: z.int(),
  starting: z.int(),
  draining: z.int(),
  down: z.int(),
  suspect: z.int(),
});

export const services = z
  .strictObject({
    revision,
    services: z.array(
      z.strictObject({
        namespace: z.string(),
        name: z.string(),
        revision: z.int(),
        instances: counts,
        protected: z.boolean(),
      }),
    ),
    next,
  })
  .meta({ id: "Services" });

export const namespaces = z
  .strictObject({
    namespaces: z.array(z.strictObject({ name: z.string(), services: z.int(), instances: z.int() })),
    next,
  })
  .meta({ id: "Namespaces" });

export const history = z
  .strictObject({
    events: z.array(
      z.strictObject({
        revision: z.int(),
        at: time,
        type: z.string(),
        id: z.string().optional(),
        incarnation: z.int().optional(),
        reason: z.string().optional(),
        by: z.string().optional(),
        member: memberId.optional(),
        lastRenewal: time
          .optional()
          .describe("Of an expiry or a suspicion: when the lease was last renewed."),
      }),
    ),
    next,
  })
  .meta({ id: "History" });

export const explanation = z
  .strictObject({
    instances: z.array(
      z.strictObject({ id: z.string(), returned: z.boolean(), reasons: z.array(z.string()) }),
    ),
  })
  .meta({ id: "Explanation" });

export const serviceSettings = z
  .strictObject({
    settings: z.strictObject({
      protectionMinInstances: z.int().describe("Protection acts from this many instances on."),
      protectionMaxExpiredPercent: z
        .int()
        .describe("At most this share may expire within a window; 100 turns it off."),
      protectionWindowMs: ms,
      protectionHoldMs: ms.describe("How long an overdue instance is kept."),
    }),
    revision,
  })
  .meta({ id: "Settings" });

export const cluster = z
  .strictObject({
    clusterId: z.string(),
    member: memberId,
    leader: memberId.nullable(),
    term: z.int(),
    commitIndex: z.int(),
    appliedIndex: z.int(),
    revision,
    quorum: z.int(),
    failuresTolerated: z.int(),
    members: z.array(
      z.strictObject({
        id: memberId,
        role: z.enum(["leader", "follower", "learner", "recovering"]),
        voter: z.boolean(),
        clientUrl: z.string(),
        peerUrl: z.string(),
        reachable: z.boolean().describe("As the leader sees it; of this member itself, always true."),
        lastContactMs: z.int().nullable(),
        matchIndex: z.int().nullable(),
        appliedIndex: z.int().nullable(),
        version: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: "Cluster" });

export const leader = z.strictObject({ leader: memberId.nullable(), term: z.int() }).meta({ id: "Leader" });
export const compacted = z.strictObject({ index: z.int() }).meta({ id: "Compacted" });
export const stateHash = z
  .strictObject({ member: memberId, appliedIndex: z.int(), revision, hash: z.string() })
  .meta({ id: "StateHash" });

const watchEventKinds = [
  z.strictObject({
    type: z.literal("snapshot"),
    revision,
    services: z.record(z.string(), z.array(instance)),
  }),
  z.strictObject({ type: z.literal("put"), revision, instance }),
  z.strictObject({
    type: z.literal("delete"),
    revision,
    namespace: z.string(),
    service: z.string(),
    id: z.string(),
    reason: z.enum(["deregistered", "expired"]),
  }),
  z.strictObject({
    type: z.literal("service"),
    revision,
    namespace: z.string(),
    service: z.string(),
    protected: z.boolean(),
  }),
  z.strictObject({ type: z.literal("sync"), revision }),
  z.strictObject({ type: z.literal("goaway"), revision, reconnectInMs: ms }),
] as const;

export const watchEvent = z.discriminatedUnion("type", watchEventKinds).meta({ id: "WatchEvent" });

export const presenceLine = z
  .discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("attached"),
      connection: z.int(),
      attached: z
        .array(z.boolean())
        .describe("False for an instance that is not registered with that incarnation."),
    }),
    z.strictObject({ type: z.literal("alive") }).describe("The answer to each line."),
    z.strictObject({
      type: z.literal("lost"),
      namespace: z.string(),
      service: z.string(),
      id: z.string(),
      code: z.enum(["not_registered", "superseded"]),
    }),
    z.strictObject({ type: z.literal("goaway") }).describe("This member stops: connect to another one."),
  ])
  .meta({ id: "PresenceLine" });

export const errorPage = z
  .strictObject({
    code: z.enum(errorCodes),
    title: z.string(),
    status: z.int(),
    retryable: z.boolean(),
    meaning: z.string(),
  })
  .meta({ id: "ErrorPage" });
