/**
 * What clients send in bodies: one schema for each, with its limits and defaults. `to...` turns what was accepted into the registry's
 * own shapes. What members answer is in answer-schemas.ts; parameters are in parameters.ts.
 */

import { z } from "zod";
import type { Patch } from "../registry/commands.ts";
import { registryLimits, type Declaration, type ServiceSettings } from "../registry/model.ts";
import { declarationDefaults } from "../registry/declaration.ts";
import { timeouts } from "./parameters.ts";
import {
  counter,
  integer,
  listOf,
  memberUrl,
  name,
  oneOf,
  pairs,
  pattern,
  status,
  strict,
  text,
} from "./schema-parts.ts";

const host = pattern(
  new RegExp(`^[A-Za-z0-9._:%\\[\\]-]{1,${registryLimits.hostChars}}$`),
  `must be a host name or an address of 1-${registryLimits.hostChars} characters`,
).describe("Host name, IPv4 or IPv6 address, as clients should dial it.");
const port = integer(0, 65_535);
const scheme = pattern(
  new RegExp(`^[A-Za-z][A-Za-z0-9+.-]{0,${registryLimits.schemeChars - 1}}$`),
  `must be a URL scheme such as http or grpc, of 1-${registryLimits.schemeChars} characters`,
);
const version = text(registryLimits.versionChars);
const zone = text(registryLimits.zoneChars);
const weight = integer(0, registryLimits.weightMax).describe(
  "Share in weighted order; 0 is never preferred.",
);
const tags = listOf(text(registryLimits.tagChars), 0, registryLimits.tags);
const metadataValue = text(registryLimits.metadataValueChars, 0);
const ttlMs = integer(registryLimits.ttlMsMin, registryLimits.ttlMsMax).describe(
  "How long the instance stays listed without a renewal.",
);
const session = text(registryLimits.sessionChars).describe(
  "Drawn once by a process: tells its own repetition from a takeover by another process.",
);

const declaration = {
  host,
  port,
  scheme: scheme.optional(),
  version: version.optional(),
  zone: zone.optional(),
  weight: weight.default(declarationDefaults.weight),
  tags: tags.default([]),
  metadata: pairs(metadataValue).default({}),
  status: status.default(declarationDefaults.status),
  ttlMs: ttlMs.default(declarationDefaults.ttlMs),
};

/** A merge patch: absent fields stay, null restores the default. */
const changes = {
  host: host.optional(),
  port: port.optional(),
  scheme: scheme.nullable().optional(),
  version: version.nullable().optional(),
  zone: zone.nullable().optional(),
  weight: weight.nullable().optional(),
  tags: tags.nullable().optional(),
  metadata: pairs(metadataValue.nullable()).nullable().optional(),
  status: status.nullable().optional(),
  ttlMs: ttlMs.nullable().optional(),
};

export const registration = strict({ ...declaration, session: session.optional() }).meta({
  id: "Registration",
  examples: [
    {
      host: "10.0.0.7",
      port: 8080,
      zone: "eu-1a",
      tags: ["blue"],
      metadata: { owner: "payments" },
      ttlMs: 30_000,
    },
  ],
});
export const instancePatch = strict(changes).meta({
  id: "InstancePatch",
  examples: [{ weight: 5, zone: null }],
});
export const renewal = strict({ incarnation: counter.optional(), status: status.optional() }).meta({
  id: "Renewal",
  examples: [{ incarnation: 42 }],
});

const key = { namespace: name.default("default"), service: name, id: name };

export const renewals = strict({
  renewals: listOf(strict({ ...key, incarnation: counter.optional() }), 0, registryLimits.renewalsPerRequest),
}).meta({ id: "Renewals" });

export const batch = strict({
  operations: listOf(
    z.discriminatedUnion(
      "op",
      [
        strict({
          op: z.literal("register"),
          ...key,
          ...declaration,
          session: session.optional(),
          ifAbsent: z.boolean({ error: "must be true or false" }).default(false),
          ifRevision: counter.optional(),
        }),
        strict({
          op: z.literal("patch"),
          ...key,
          ...changes,
          incarnation: counter.optional(),
          ifRevision: counter.optional(),
        }),
        strict({ op: z.literal("deregister"), ...key, incarnation: counter.optional() }),
        strict({
          op: z.literal("renew"),
          ...key,
          incarnation: counter.optional(),
          status: status.optional(),
        }),
      ],
      {
        error: (issue) =>
          issue.code === "invalid_union"
            ? "must be one of register, patch, deregister, renew"
            : "must be an object",
      },
    ),
    0,
    registryLimits.operationsPerBatch,
  ),
}).meta({ id: "Batch" });

export const override = strict({
  weight: weight.optional(),
  tags: tags.optional(),
  status: status.optional(),
  reason: text(registryLimits.reasonChars),
  endsInMs: integer(1, registryLimits.overrideEndsInMsMax)
    .optional()
    .describe("The layer falls away after this time; never, when absent."),
})
  .refine((layer) => layer.weight !== undefined || layer.tags !== undefined || layer.status !== undefined, {
    error: "must set at least one of weight, tags and status",
  })
  .meta({
    id: "OverrideLayer",
    examples: [{ weight: 0, reason: "suspected memory leak", endsInMs: 3_600_000 }],
  });

export const drainRequest = strict({
  reason: text(registryLimits.reasonChars).optional(),
  waitMs: integer(0, timeouts.writeMsMax).default(timeouts.writeMsDefault),
}).meta({ id: "DrainRequest", examples: [{ reason: "deploy", waitMs: 5_000 }] });

export const presence = strict({
  instances: listOf(strict({ ...key, incarnation: counter }), 1, registryLimits.operationsPerBatch),
  lingerMs: integer(0, registryLimits.lingerMsMax)
    .default(2_000)
    .describe("How long they outlive the connection."),
}).meta({ id: "Presence" });

export const settingsChange = strict({
  protectionMinInstances: integer(0, registryLimits.protectionMinInstancesMax).optional(),
  protectionMaxExpiredPercent: integer(0, 100).optional(),
  protectionWindowMs: integer(
    registryLimits.protectionWindowMsMin,
    registryLimits.protectionWindowMsMax,
  ).optional(),
  protectionHoldMs: integer(
    registryLimits.protectionHoldMsMin,
    registryLimits.protectionHoldMsMax,
  ).optional(),
}).meta({ id: "SettingsChange" });

export const newMember = strict({ id: name, peerUrl: memberUrl, clientUrl: memberUrl }).meta({
  id: "NewMember",
  examples: [{ id: "n4", peerUrl: "http://10.0.0.4:7501", clientUrl: "http://10.0.0.4:7401" }],
});
export const leadership = strict({ to: name.optional() }).meta({ id: "LeadershipTransfer" });

/** What `order=` may be. */
export const order = oneOf(["id", "random", "weighted", "roundRobin", "near"]);

export type Registration = z.output<typeof registration>;
export type InstancePatch = z.output<typeof instancePatch>;
export type BatchOperation = z.output<typeof batch>["operations"][number];
export type Order = z.output<typeof order>;

export function toDeclaration(body: Omit<Registration, "session">): Declaration {
  return {
    host: body.host,
    port: body.port,
    scheme: body.scheme ?? null,
    version: body.version ?? null,
    zone: body.zone ?? null,
    weight: body.weight,
    tags: body.tags,
    metadata: Object.entries(body.metadata),
    status: body.status,
    ttlMs: body.ttlMs,
  };
}

export function toChanges(body: InstancePatch): Patch["changes"] {
  const { host, port, scheme, version, zone, weight, tags, metadata, status, ttlMs } = body;
  return withoutUndefined({
    host,
    port,
    scheme,
    version,
    zone,
    weight,
    tags,
    metadata: metadata && Object.entries(metadata),
    status,
    ttlMs,
  });
}

export function toSettings(body: z.output<typeof settingsChange>): Partial<ServiceSettings> {
  return withoutUndefined(body);
}

/** Absent and undefined are one to zod and two to the registry's types. */
type Present<T> = { [Field in keyof T]?: Exclude<T[Field], undefined> };

function withoutUndefined<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Present<T>;
}
