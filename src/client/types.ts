/**
 * The shapes that travel between a service and the registry, with the names they have in the HTTP API.
 */

export type InstanceStatus = "up" | "starting" | "draining" | "down";

/** A registered instance as the registry shows it. Durations in milliseconds. */
export interface Instance {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly scheme?: string | null;
  readonly version?: string | null;
  readonly zone?: string | null;
  /** 0-10000; 0 is never picked by the weighted policy. */
  readonly weight: number;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly status: InstanceStatus;
  readonly ttlMs: number;
  /** The registration's number: the lease's handle, never reused. */
  readonly incarnation: number;
  /** Of the last visible change of this instance. */
  readonly revision: number;
  /** RFC 3339, UTC. */
  readonly registeredAt: string;
  /** Still listed, but its lease has run out or its connection has broken. */
  readonly suspect?: boolean;
}

/** What a service declares about an instance of itself. */
export interface Declaration {
  readonly service: string;
  /** Default `default`. */
  readonly namespace?: string | undefined;
  /**
   * Default: `HOST:PORT`, so that a process that starts again takes its old place instead of standing beside it until that lease ends.
   */
  readonly id?: string | undefined;
  /** Where others reach it. Default: the first IPv4 address of this machine that is not a loopback, else 127.0.0.1. */
  readonly host?: string | undefined;
  readonly port: number;
  readonly scheme?: string | undefined;
  readonly version?: string | undefined;
  readonly zone?: string | undefined;
  readonly weight?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly status?: InstanceStatus | undefined;
  /** How long the instance stays listed without a renewal. 1,000-86,400,000; default 30,000. */
  readonly ttlMs?: number | undefined;
}

/** What may be changed on a registered instance; what is left out stays. */
export type DeclarationChange = Partial<Omit<Declaration, "service" | "namespace" | "id">>;

/** What the registry answers to a registration. */
export interface RegisterAnswer {
  readonly instance: Instance;
  readonly revision: number;
  readonly created: boolean;
  readonly changed: boolean;
  /** When to renew, counted from the sending of the registration. */
  readonly renewAfterMs: number;
}

export type RenewalOutcome =
  | { readonly ok: true; readonly expiresInMs: number }
  | { readonly ok: false; readonly code: string; readonly detail?: string };

export interface RenewalsAnswer {
  /** One for each renewal, in order. */
  readonly results: readonly RenewalOutcome[];
  readonly renewAfterMs: number;
}

/** Which instances are meant. All conditions must hold. */
export interface InstanceFilter {
  /** Default `["up"]`. */
  readonly status?: readonly InstanceStatus[] | "any" | undefined;
  /** All of these. */
  readonly tags?: readonly string[] | undefined;
  readonly version?: string | undefined;
  readonly zone?: string | undefined;
  /** All of these pairs. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

export interface ReadLevel {
  /** `local` (default) answers from the member's memory, `linearizable` reflects everything acknowledged before the call. */
  readonly consistency?: "local" | "linearizable" | undefined;
  /** Wait until the member has applied this revision. Default: the highest one that this client has written. */
  readonly minRevision?: number | undefined;
  /** Refuse an answer that may be older than this. */
  readonly maxStaleMs?: number | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bounds the call with all its attempts. Default: the registry's `timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

export interface DiscoverQuery extends InstanceFilter, ReadLevel, CallOptions {
  readonly namespace?: string | undefined;
  readonly limit?: number | undefined;
  readonly order?: "id" | "random" | "weighted" | "roundRobin" | "near" | undefined;
  /** With `order: "near"`. */
  readonly nearZone?: string | undefined;
  /** With `waitMs`: answer when the service's revision is above this. */
  readonly afterRevision?: number | undefined;
  /** At most 600,000. */
  readonly waitMs?: number | undefined;
}

/** What a member said about itself beside its answer. */
export interface AnswerSource {
  readonly member: string;
  /** Null while there is none. */
  readonly leader: string | null;
  readonly term: number;
  /** Registry-wide revision that the member had applied. */
  readonly revision: number;
  /** Upper bound of the answer's age when it was given. */
  readonly staleMs: number;
  readonly requestId: string;
}

export interface ServiceList {
  readonly namespace: string;
  readonly service: string;
  /** Of the service's last change. */
  readonly revision: number;
  /** True while mass-expiry protection holds instances that would have expired. */
  readonly protected: boolean;
  readonly instances: readonly Instance[];
}

export interface Discovery extends ServiceList {
  readonly source: AnswerSource;
}

export type WatchEvent =
  | {
      readonly type: "snapshot";
      readonly revision: number;
      readonly services: Readonly<Record<string, readonly Instance[]>>;
    }
  | { readonly type: "put"; readonly revision: number; readonly instance: Instance }
  | {
      readonly type: "delete";
      readonly revision: number;
      readonly namespace: string;
      readonly service: string;
      readonly id: string;
      readonly reason: "deregistered" | "expired";
    }
  | {
      /** Mass-expiry protection of a service began or ended. */
      readonly type: "service";
      readonly revision: number;
      readonly namespace: string;
      readonly service: string;
      readonly protected: boolean;
    }
  | {
      readonly type: "sync";
      readonly revision: number;
      /** Upper bound of how far behind the cluster the sending member may be, if it says so. */
      readonly staleMs?: number;
    };

export interface WatchQuery {
  readonly namespace?: string | undefined;
  readonly services?: readonly string[] | undefined;
  readonly prefixes?: readonly string[] | undefined;
  /** Resume: everything after this revision. Without it the stream starts with a snapshot. */
  readonly afterRevision?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
