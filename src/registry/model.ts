/**
 * The registry's nouns: namespace ⊃ service ⊃ instance, with a lease on each instance. Shapes, units, limits and defaults.
 */

export const instanceStatuses = ["up", "starting", "draining", "down"] as const;
export type InstanceStatus = (typeof instanceStatuses)[number];

/** Which instance is meant. Each part is a name: 1-128 characters of A-Z a-z 0-9 . _ : @ -, starting with a letter or digit. */
export interface InstanceKey {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
}

/** What a client declares about its instance. Absent strings are null; lists and maps are empty rather than absent. */
export interface Declaration {
  readonly host: string;
  /** 0-65535. */
  readonly port: number;
  readonly scheme: string | null;
  readonly version: string | null;
  readonly zone: string | null;
  /** 0-10000; 0 means "not picked by weighted order". */
  readonly weight: number;
  /** At most 64, each at most 128 characters; in the client's order, without repetition. */
  readonly tags: readonly string[];
  /** At most 64 pairs, key at most 128, value at most 1024 characters. Sorted by key. */
  readonly metadata: readonly (readonly [key: string, value: string])[];
  readonly status: InstanceStatus;
  /** How long the instance stays listed without a renewal: 1,000-86,400,000 ms of cluster time. */
  readonly ttlMs: number;
}

/** The operator's layer over a declaration: what is set here wins, and survives a new registration under the same id. */
export interface Override {
  readonly weight: number | null;
  readonly tags: readonly string[] | null;
  readonly status: InstanceStatus | null;
  readonly reason: string;
  /** Cluster time at which the layer falls away; null for never. */
  readonly endsAt: number | null;
}

/**
 * One registered instance, as the state machine holds it.
 *
 * `incarnation` is the revision at which this registration was made: it is also the lease's handle and is never reused.
 * `revision` is that of the last visible change. Its lease deadline is kept apart, because renewals change nothing else.
 */
export interface Instance extends InstanceKey {
  readonly incarnation: number;
  readonly revision: number;
  /** Drawn once by the client's process; tells a renewal by the same process from a takeover. Never shown. */
  readonly session: string | null;
  readonly declared: Declaration;
  readonly override: Override | null;
  /** Wall clock of the member that proposed the registration, milliseconds since 1970. For people only. */
  readonly registeredAt: number;
  /** True while mass-expiry protection or a broken presence holds it. */
  readonly suspect: boolean;
}

/** The declaration as everybody but its owner sees it. */
export function effective(instance: Instance): Declaration {
  const layer = instance.override;
  if (layer === null) return instance.declared;
  return {
    ...instance.declared,
    weight: layer.weight ?? instance.declared.weight,
    tags: layer.tags ?? instance.declared.tags,
    status: layer.status ?? instance.declared.status,
  };
}

/** Thresholds of one service; all replicated. */
export interface ServiceSettings {
  /** Mass-expiry protection acts only on services with at least this many instances at the start of a window. Default 5. */
  readonly protectionMinInstances: number;
  /** At most this share of a window's base may expire within the window, percent. 100 turns protection off. Default 50. */
  readonly protectionMaxExpiredPercent: number;
  /** Length of a window, ms of cluster time. Default 30,000. */
  readonly protectionWindowMs: number;
  /** How long a suspect instance is kept, ms of cluster time. Default 300,000. */
  readonly protectionHoldMs: number;
}

export const defaultServiceSettings: ServiceSettings = {
  protectionMinInstances: 5,
  protectionMaxExpiredPercent: 50,
  protectionWindowMs: 30_000,
  protectionHoldMs: 300_000,
};

/** Every bound of the registry, in one place. */
export const registryLimits = {
  nameChars: 128,
  hostChars: 255,
  schemeChars: 32,
  versionChars: 128,
  zoneChars: 128,
  sessionChars: 64,
  reasonChars: 256,
  tags: 64,
  tagChars: 128,
  metadataPairs: 64,
  metadataKeyChars: 128,
  metadataValueChars: 1024,
  weightMax: 10_000,
  ttlMsMin: 1_000,
  ttlMsMax: 86_400_000,
  ttlMsDefault: 30_000,
  /** Instances that one `expire` entry may remove. */
  expiriesPerEntry: 512,
  /** Events kept for watches: whichever is less. */
  eventsKept: 100_000,
  eventsKeptMs: 600_000,
  /** Results kept for repeated writes: whichever is less. */
  idempotencyKeys: 100_000,
  idempotencyMs: 600_000,
  /** What the kept results may take in memory, estimated: the largest ones are five hundred times as large as usual ones. */
  idempotencyBytes: 64 * 1024 * 1024,
  idempotencyKeyChars: 64,
  /** History entries kept for each service. */
  historyPerService: 200,
  /** An empty service is remembered this long. */
  emptyServiceKeptMs: 86_400_000,
  /** Operator's layers kept for instances that are gone. */
  overridesParked: 10_000,
  /** How far ahead an operator's layer may end. */
  overrideEndsInMsMax: 31_536_000_000,
  /** How long an instance may outlive its broken connection. */
  lingerMsMax: 60_000,
  protectionMinInstancesMax: 1_000_000,
  protectionWindowMsMin: 1_000,
  protectionWindowMsMax: 3_600_000,
  protectionHoldMsMin: 1_000,
  protectionHoldMsMax: 86_400_000,
  /** What one entry may tidy away of each kind that has become too old: the work of an entry is bounded, and the rest comes with the next. */
  tidiedPerEntry: 512,
  renewalsPerRequest: 10_000,
  operationsPerBatch: 1_000,
} as const;
