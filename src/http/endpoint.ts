/**
 * An endpoint as data: its path, what it takes, what it answers, and the function that does it. The Express routes, validation, the 405s
 * and /openapi.json all come from the same table of these (endpoints.ts).
 */

import type { z } from "zod";
import type { ErrorCode } from "../lib/errors.ts";
import type { InstanceKey } from "../registry/model.ts";
import type { WriteOptions } from "../replica/member.ts";
import type { Grant } from "./access.ts";
import type { Answer } from "./answer.ts";
import type { Api, ServerState } from "./api.ts";
import { bodyLimits, type BodyBounds } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import {
  parameterSet,
  readParameters,
  writeParameters,
  type Parameters,
  type ParameterSet,
  type ParameterShape,
} from "./parameters.ts";
import type { Policy } from "./policy.ts";
import { name, strict } from "./schema-parts.ts";

export type Method = "GET" | "PUT" | "POST" | "PATCH" | "DELETE";

/** One answer that an endpoint may give, for /openapi.json. A null schema: no body, or text. */
export interface PossibleAnswer {
  readonly status: number;
  readonly description: string;
  readonly schema: z.ZodType | null;
  readonly mediaTypes?: readonly string[];
  /** It carries an `ETag`. */
  readonly isTagged?: true;
}

/** A header that an endpoint takes, for /openapi.json. */
export interface RequestHeader {
  readonly name: string;
  readonly description: string;
}

/** A body that an endpoint takes. */
export interface BodyRule<Schema extends z.ZodType = z.ZodType> extends BodyBounds {
  readonly schema: Schema;
  /** What stands for an absent body; undefined when there must be one. */
  readonly absent: unknown;
}

interface Description {
  /** Unique; the operationId of /openapi.json. */
  readonly id: string;
  /** With {names}. A path under /v1/services exists under /v1/namespaces/{namespace}/services too. */
  readonly path: string;
  readonly summary: string;
  readonly policy: Policy;
  /** Beside those that every endpoint of its kind takes. */
  readonly headers?: readonly RequestHeader[];
  readonly answers: readonly PossibleAnswer[];
  /** Codes that only some endpoints give; what any may give is added for the document. */
  readonly errors: readonly ErrorCode[];
}

/** What an endpoint is called with. `namespace` is "default" where the path names none. */
interface CallBase<Params extends ParameterShape, Query extends ParameterShape> {
  readonly api: Api;
  readonly exchange: Exchange;
  readonly namespace: string;
  /** Already held against the endpoint's policy, except for services that only the body names. */
  readonly grant: Grant;
  readonly params: Parameters<Params>;
  readonly query: Parameters<Query>;
}

interface WriteCall<Params extends ParameterShape, Query extends ParameterShape, Body> extends CallBase<
  Params,
  Query
> {
  readonly body: Body;
  readonly options: WriteOptions;
}

/** What every kind of endpoint has: what the request is checked against. */
interface Checked extends Description {
  readonly method: Method;
  readonly params: ParameterSet;
  readonly query: ParameterSet;
  readonly body: BodyRule | null;
  /** Whether the first result is kept under an `Idempotency-Key`, to be given again. */
  readonly keepsResult: boolean;
}

/** Served by the registry member: everything under /v1. */
export interface MemberEndpoint extends Checked {
  /**
   * `read`: once the member may answer at the level asked for. `diagnostic`: a read that must also work while the member cannot say how
   * fresh it is, so it waits only when a level is asked for. `watch`: cares for freshness itself.
   */
  readonly kind: "read" | "diagnostic" | "watch" | "write";
  readonly handle: (call: WriteCall<ParameterShape, ParameterShape, unknown>) => Promise<Answer> | Answer;
}

/** Served by the process, whether or not a member runs in it yet. */
export interface ServerEndpoint extends Checked {
  readonly kind: "server";
  readonly handle: (server: ServerState, params: Parameters<ParameterShape>) => Promise<Answer> | Answer;
}

export type Endpoint = MemberEndpoint | ServerEndpoint;

type ReadParameters = typeof readParameters;
type WriteParameters = typeof writeParameters;

interface Taking<Params extends ParameterShape, Query extends ParameterShape> {
  readonly params: Params;
  readonly query: Query;
}

// The four functions below are where the types of one endpoint end and those of the table begin: the table's dispatcher hands `handle`
// exactly what it parsed with that endpoint's own schemas.

/** Every path may name a namespace. */
function pathSet(shape: ParameterShape): ParameterSet {
  return parameterSet({ namespace: name, ...shape });
}

export function read<Params extends ParameterShape, Query extends ParameterShape>(
  endpoint: Description &
    Taking<Params, Query> & {
      readonly kind?: "read" | "diagnostic";
      readonly handle: (call: CallBase<Params, Query & ReadParameters>) => Promise<Answer> | Answer;
    },
): MemberEndpoint {
  return {
    ...endpoint,
    kind: endpoint.kind ?? "read",
    method: "GET",
    params: pathSet(endpoint.params),
    query: parameterSet({ ...endpoint.query, ...readParameters }),
    body: null,
    keepsResult: false,
    handle: endpoint.handle as unknown as MemberEndpoint["handle"],
  };
}

export function watch<Query extends ParameterShape>(
  endpoint: Description & {
    readonly query: Query;
    readonly handle: (call: CallBase<Record<string, never>, Query>) => Promise<Answer> | Answer;
  },
): MemberEndpoint {
  return {
    ...endpoint,
    kind: "watch",
    method: "GET",
    params: pathSet({}),
    query: parameterSet(endpoint.query),
    body: null,
    keepsResult: false,
    handle: endpoint.handle as unknown as MemberEndpoint["handle"],
  };
}

export function write<
  Params extends ParameterShape,
  Query extends ParameterShape,
  Schema extends z.ZodType = z.ZodUndefined,
>(
  endpoint: Description &
    Taking<Params, Query> & {
      readonly method: Exclude<Method, "GET">;
      /** Without it a body may not say anything. Null: the endpoint reads it by itself. */
      readonly body?: BodyRule<Schema> | null;
      /** False where the write may be repeated as it is: an `Idempotency-Key` is taken then, and has no effect. */
      readonly keepsResult?: false;
      readonly handle: (
        call: WriteCall<Params, Query & WriteParameters, z.output<Schema>>,
      ) => Promise<Answer> | Answer;
    },
): MemberEndpoint {
  return {
    ...endpoint,
    kind: "write",
    params: pathSet(endpoint.params),
    query: parameterSet({ ...endpoint.query, ...writeParameters }),
    body: endpoint.body === undefined ? noBody : endpoint.body,
    keepsResult: endpoint.keepsResult ?? true,
    handle: endpoint.handle as unknown as MemberEndpoint["handle"],
  };
}

export function server<Params extends ParameterShape>(
  endpoint: Description & {
    readonly params: Params;
    readonly handle: (server: ServerState, params: Parameters<Params>) => Promise<Answer> | Answer;
  },
): ServerEndpoint {
  return {
    ...endpoint,
    kind: "server",
    method: "GET",
    params: pathSet(endpoint.params),
    query: parameterSet({}),
    body: null,
    keepsResult: false,
    handle: endpoint.handle as ServerEndpoint["handle"],
  };
}

const json = ["application/json"];

/** A JSON body that must be there. */
export function body<Schema extends z.ZodType>(
  schema: Schema,
  { bytesMax = bodyLimits.bytesMax, mediaTypes = json }: Partial<BodyBounds> = {},
): BodyRule<Schema> {
  return { schema, bytesMax, mediaTypes, absent: undefined };
}

/** A JSON body that may be left out, which means `{}`. */
export function optionalBody<Schema extends z.ZodType>(schema: Schema): BodyRule<Schema> {
  return { schema, bytesMax: bodyLimits.bytesMax, mediaTypes: json, absent: {} };
}

/** For a write that takes none: an incarnation in the body of a DELETE would be left out of account, and the wrong instance go. */
export const noBody: BodyRule = optionalBody(strict({}));

/** The instance that a path names. */
export function keyOf(call: {
  readonly namespace: string;
  readonly params: { readonly service: string; readonly id: string };
}): InstanceKey {
  return { namespace: call.namespace, service: call.params.service, id: call.params.id };
}
