/**
 * What a log entry can ask of the registry, and what comes of it.
 *
 * One entry carries a batch of envelopes: what arrives together is committed together. A failure that every member will meet alike is
 * a result; nothing here ever throws for bad input, because a command that cannot be applied would stop every member.
 */

import type { ErrorCode } from "../lib/errors.ts";
import type { Declaration, Instance, InstanceKey, InstanceStatus, ServiceSettings } from "./model.ts";

/** Raised when commands gain a meaning that older members would not apply alike; an unknown version stops the member. */
export const commandVersion = 1;

export interface CommandBatch {
  readonly version: number;
  readonly envelopes: readonly Envelope[];
}

/** A command with who brought it. */
export interface Envelope {
  readonly command: Command;
  /** The member that took the request. */
  readonly member: string;
  /** That member's wall clock, ms since 1970. Copied where people see it, never compared. */
  readonly at: number;
  /** A repeat with this key within 10 minutes of cluster time gets the first result again. */
  readonly idempotencyKey: string | null;
  /** Who asked, for the history: a token's name; null when nobody is known. */
  readonly by: string | null;
}

export interface Register extends InstanceKey {
  readonly kind: "register";
  readonly declared: Declaration;
  readonly session: string | null;
  /** Refuse (precondition_failed) when the instance exists. */
  readonly ifAbsent: boolean;
  /** Refuse (precondition_failed) unless the instance's revision is this. */
  readonly ifRevision: number | null;
}

/**
 * The hot path: many leases renewed by handle (the incarnation). A handle that names no live registration gives 0 in the result,
 * and the member that asked finds out why with a RenewOne.
 */
export interface Renew {
  readonly kind: "renew";
  readonly handles: readonly number[];
}

/** A renewal by name, optionally with a change of status: not_registered when absent; superseded when `incarnation` is older. */
export interface RenewOne extends InstanceKey {
  readonly kind: "renewOne";
  readonly incarnation: number | null;
  readonly status: InstanceStatus | null;
}

/** A merge patch (RFC 7396), already validated: an absent field stays, null (where allowed) resets to the default. */
export interface Patch extends InstanceKey {
  readonly kind: "patch";
  readonly changes: {
    readonly host?: string;
    readonly port?: number;
    readonly scheme?: string | null;
    readonly version?: string | null;
    readonly zone?: string | null;
    readonly weight?: number | null;
    readonly tags?: readonly string[] | null;
    /** Pairs to set, or with null to remove; null clears all. */
    readonly metadata?: readonly (readonly [key: string, value: string | null])[] | null;
    readonly status?: InstanceStatus | null;
    readonly ttlMs?: number | null;
  };
  readonly incarnation: number | null;
  readonly ifRevision: number | null;
  /** Why, in the client's words, for the history. */
  readonly reason?: string;
}

export interface Deregister extends InstanceKey {
  readonly kind: "deregister";
  readonly incarnation: number | null;
}

/** Removes what the entry's own time says is due. Proposed by a leader whose clock has passed the next deadline. */
export interface Expire {
  readonly kind: "expire";
}

/** Sets (or with null clears) the operator's layer. `endsInMs` counts from the entry's cluster time. */
export interface SetOverride extends InstanceKey {
  readonly kind: "setOverride";
  readonly layer: {
    readonly weight: number | null;
    readonly tags: readonly string[] | null;
    readonly status: InstanceStatus | null;
    readonly reason: string;
    readonly endsInMs: number | null;
  } | null;
}

export interface SetSettings {
  readonly kind: "setSettings";
  readonly namespace: string;
  readonly service: string;
  readonly changes: Partial<ServiceSettings>;
}

/**
 * A connection that instances hang on opened (`attach`) or broke (`break`). `connection` numbers rise with every reconnect, so that a
 * late break of an older connection changes nothing.
 */
export interface PresenceChange {
  readonly kind: "presence";
  readonly change: "attach" | "break";
  readonly instances: readonly (InstanceKey & { readonly incarnation: number })[];
  /** Given by the state machine at attach: the revision counter of connections. For a break: the number being broken. 0 at attach. */
  readonly connection: number;
  readonly lingerMs: number;
}

/** Several operations with nothing between; one failing does not stop the others. */
export interface Batch {
  readonly kind: "batch";
  readonly operations: readonly (Register | RenewOne | Patch | Deregister)[];
}

export type Command =
  | Register
  | Renew
  | RenewOne
  | Patch
  | Deregister
  | Expire
  | SetOverride
  | SetSettings
  | PresenceChange
  | Batch;

export type CommandKind = Command["kind"];

/** A deterministic failure. `detail` is one sentence for the client. */
export interface Failure {
  readonly ok: false;
  readonly code: Extract<
    ErrorCode,
    | "not_registered"
    | "not_found"
    | "superseded"
    | "conflict"
    | "precondition_failed"
    | "storage_full"
    | "invalid_argument"
  >;
  readonly detail: string;
  /** The instance's (or service's) present revision, where one exists. */
  readonly revision: number | null;
}

/** What a command did. `revision` is the registry-wide revision after it, except beside an instance, where it is the instance's. */
export type Success =
  | {
      readonly ok: true;
      readonly kind: "register";
      readonly instance: Instance;
      readonly revision: number;
      readonly created: boolean;
      readonly changed: boolean;
    }
  /** For each handle the TTL of its lease, or 0 when the handle is over. */
  | { readonly ok: true; readonly kind: "renew"; readonly ttlsMs: readonly number[] }
  | {
      readonly ok: true;
      readonly kind: "renewOne";
      readonly incarnation: number;
      readonly ttlMs: number;
      readonly instance: Instance;
      readonly changed: boolean;
    }
  | {
      readonly ok: true;
      readonly kind: "patch";
      readonly instance: Instance;
      readonly revision: number;
      readonly changed: boolean;
    }
  | { readonly ok: true; readonly kind: "deregister"; readonly revision: number }
  | { readonly ok: true; readonly kind: "expire"; readonly expired: number; readonly suspected: number }
  | {
      readonly ok: true;
      readonly kind: "setOverride";
      readonly instance: Instance;
      readonly revision: number;
      readonly changed: boolean;
    }
  | {
      readonly ok: true;
      readonly kind: "setSettings";
      readonly settings: ServiceSettings;
      readonly revision: number;
    }
  | {
      readonly ok: true;
      readonly kind: "presence";
      readonly connection: number;
      readonly attached: readonly boolean[];
    }
  | {
      readonly ok: true;
      readonly kind: "batch";
      readonly results: readonly CommandResult[];
      readonly revision: number;
    };

export type CommandResult = Success | Failure;

export type DeleteReason = "deregistered" | "expired";

/** One visible change, as watches deliver it; exactly one for each revision. */
export type RegistryEvent =
  | { readonly type: "put"; readonly revision: number; readonly instance: Instance }
  | ({ readonly type: "delete"; readonly revision: number; readonly reason: DeleteReason } & InstanceKey)
  /** A change of the service itself (protection, settings) that touches no instance. */
  | {
      readonly type: "service";
      readonly revision: number;
      readonly namespace: string;
      readonly service: string;
      readonly protected: boolean;
    };
