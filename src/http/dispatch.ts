/** Runs one endpoint for one request: checks everything that the endpoint's schemas describe, then calls it. */

import { RollcallError, type FieldError } from "../lib/errors.ts";
import type { Grant } from "./access.ts";
import type { Answer } from "./answer.ts";
import type { Api, ServerState } from "./api.ts";
import { readJsonBody } from "./body.ts";
import type { BodyRule, Endpoint, MemberEndpoint } from "./endpoint.ts";
import type { Exchange } from "./exchange.ts";
import { mustBeAwaited } from "./given-up.ts";
import { fieldErrors, invalidArgument } from "./invalid.ts";
import {
  parseNamed,
  parseQuery,
  type readParameters,
  type Parameters,
  type ParameterShape,
} from "./parameters.ts";
import { idempotencyKey } from "./preconditions.ts";

/** The names in the path, decoded. */
export type PathParams = Readonly<Record<string, string>>;

export async function dispatch(
  server: ServerState,
  endpoint: Endpoint,
  exchange: Exchange,
  path: PathParams,
): Promise<Answer> {
  const grant = server.access.grant(exchange.request, endpoint.policy);
  const errors: FieldError[] = [];
  const { namespace = "default", ...names } = path;
  const params = parseNamed({ namespace, ...names }, endpoint.params.schema, errors);
  const query = parseQuery(queryOf(exchange.request.url ?? ""), endpoint.query, errors);
  if (params === null || query === null || errors.length > 0) throw invalidArgument(errors);
  checkScope(grant, endpoint, { ...params, ...query });
  if (endpoint.kind === "server") return endpoint.handle(server, params);
  const api = servingApi(server);
  const body = await parseBody(exchange, endpoint.body, api.bodyMs);
  if (!exchange.isRead && server.standstill.isRecent) await mustBeAwaited(exchange);
  if (endpoint.kind === "read" || isLevelAsked(endpoint, query)) await awaitLevel(api, exchange, query);
  const options = { ...writeOptions(exchange, query), by: grant.by };
  return endpoint.handle({ api, exchange, namespace, grant, params, query, body, options });
}

/** A namespace in the query stands for one in the path; a request for services without any name asks for all of them. */
function checkScope(grant: Grant, { policy }: Endpoint, named: Parameters<ParameterShape>): void {
  const { namespace, service, prefix } = named as {
    readonly namespace: string;
    readonly service?: string | readonly string[];
    readonly prefix?: string | readonly string[];
  };
  switch (policy.scope) {
    case "everything":
      return grant.mustReachEverything();
    case "service in path":
    case "services in query": {
      const services = [service ?? []].flat().map((one) => ({ namespace, service: one }));
      const prefixes = [prefix ?? []].flat().map((one) => ({ namespace, service: one, isPrefix: true }));
      const all = [...services, ...prefixes];
      return grant.mustReach(all.length > 0 ? all : [{ namespace, service: "", isPrefix: true }]);
    }
    case "services in body":
    case "nothing":
      return;
  }
}

/** Throws `unavailable` until a member runs. */
export function servingApi({ api, waiting }: ServerState): Api {
  if (api !== null) return api;
  const reason = waiting.length === 0 ? "it is starting" : waiting.join("; ");
  throw new RollcallError("unavailable", `This member does not serve yet: ${reason}.`);
}

function queryOf(url: string): string {
  const mark = url.indexOf("?");
  return mark < 0 ? "" : url.slice(mark + 1);
}

async function parseBody(exchange: Exchange, rule: BodyRule | null, withinMs: number): Promise<unknown> {
  if (rule === null) return undefined;
  const read = await readJsonBody(exchange.request, rule, withinMs);
  const given = read === undefined ? rule.absent : read;
  if (given === undefined) throw invalidArgument([{ pointer: "", detail: "is missing; it must be JSON" }]);
  const parsed = rule.schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidArgument(fieldErrors(parsed.error, given));
}

type Level = Parameters<typeof readParameters>;

function isLevelAsked(endpoint: MemberEndpoint, query: Parameters<ParameterShape>): boolean {
  if (endpoint.kind !== "diagnostic") return false;
  const { consistency, minRevision, maxStaleMs } = query as Level;
  return consistency === "linearizable" || minRevision !== undefined || maxStaleMs !== undefined;
}

async function awaitLevel(
  { member, hub }: Api,
  { response, park }: Exchange,
  query: Parameters<ParameterShape>,
): Promise<void> {
  const { consistency, minRevision = null, waitMs, maxStaleMs = null } = query as Level;
  if (minRevision !== null && minRevision > member.registry.revision) {
    hub.takePlace(response);
    park();
  }
  return member.read({ consistency, minRevision, waitMs, maxStaleMs });
}

/** Reads have none of these, and do not look at them. */
function writeOptions(
  { request }: Exchange,
  query: Parameters<ParameterShape>,
): { readonly timeoutMs: number; readonly idempotencyKey: string | null } {
  const { timeoutMs = 0 } = query as { timeoutMs?: number };
  return { timeoutMs, idempotencyKey: idempotencyKey(request) };
}
