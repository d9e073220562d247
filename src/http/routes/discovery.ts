/** Who is there: a service's instances, filtered, ordered, and waited for. */

import type { InstanceFilter } from "../../registry/view.ts";
import * as answers from "../answer-schemas.ts";
import { json, type Answer } from "../answer.ts";
import type { Api } from "../api.ts";
import { read, type MemberEndpoint } from "../endpoint.ts";
import { invalidArgument } from "../invalid.ts";
import { ordered } from "../ordering.ts";
import { filterKey, filterParameters, revisionParameter, toFilter, type Parameters } from "../parameters.ts";
import { clientHas, ifChangedHeader } from "../preconditions.ts";
import { instanceJson } from "../render.ts";
import { name, text } from "../schema-parts.ts";
import { order } from "../schemas.ts";
import type { Exchange } from "../exchange.ts";
import { registryLimits } from "../../registry/model.ts";
import { policies } from "../policy.ts";

const query = {
  ...filterParameters,
  order: order.default("id"),
  nearZone: text(registryLimits.zoneChars).optional().describe("The zone to list first, with order=near."),
  afterRevision: revisionParameter
    .optional()
    .describe("Answer when the service's revision exceeds this, or after waitMs."),
};

export const discover: MemberEndpoint = read({
  id: "discoverInstances",
  policy: policies.readService,
  path: "/v1/services/{service}/instances",
  summary: "The instances of a service. An unknown service has none.",
  params: { service: name },
  query,
  headers: [ifChangedHeader],
  answers: [
    {
      status: 200,
      description: "The list; with order=id, `ETag` names it.",
      schema: answers.discovered,
      isTagged: true,
    },
    { status: 304, description: "The list is what `If-None-Match` names.", schema: null, isTagged: true },
  ],
  errors: ["overloaded"],
  handle: async (call) => {
    checkOrder(call.query);
    const list: List = {
      namespace: call.namespace,
      service: call.params.service,
      filter: toFilter(call.query),
      limit: call.query.limit ?? null,
    };
    const { afterRevision, waitMs } = call.query;
    if (afterRevision !== undefined) await changeAfter(call, list, { afterRevision, waitMs });
    if (call.query.order === "id") return inOrderOfId(call.api, call.exchange, list);
    return json(200, bodyOf(call.api, list, call.query));
  },
});

export const explain: MemberEndpoint = read({
  id: "explainDiscovery",
  policy: policies.readService,
  path: "/v1/services/{service}/explain",
  summary: "Why each instance of a service is or is not returned by discovery with these filters.",
  params: { service: name },
  query: filterParameters,
  answers: [{ status: 200, description: "Every instance, with reasons.", schema: answers.explanation }],
  errors: [],
  handle: (call) => {
    const { registry } = call.api.member;
    const explained = registry.explain(call.namespace, call.params.service, toFilter(call.query));
    return json(200, { instances: withLimit(explained, call.query.limit ?? null) });
  },
});

/** One question about one service. */
interface List {
  readonly namespace: string;
  readonly service: string;
  readonly filter: InstanceFilter;
  readonly limit: number | null;
}

type OrderQuery = Pick<Parameters<typeof query>, "order" | "nearZone">;

function checkOrder({ order, nearZone }: OrderQuery): void {
  if (order === "near" && nearZone === undefined)
    throw invalidArgument([{ pointer: "nearZone", detail: "is missing; order=near lists that zone first" }]);
  if (order !== "near" && nearZone !== undefined)
    throw invalidArgument([{ pointer: "nearZone", detail: "has a meaning only with order=near" }]);
}

async function changeAfter(
  { api, exchange }: { readonly api: Api; readonly exchange: Exchange },
  list: List,
  { afterRevision, waitMs }: { readonly afterRevision: number; readonly waitMs: number },
): Promise<void> {
  const until = exchange.startedAtMs + waitMs;
  api.hub.takePlace(exchange.response);
  exchange.park();
  while (api.member.registry.service(list.namespace, list.service).revision <= afterRevision) {
    const leftMs = until - performance.now();
    if (leftMs <= 0 || api.hub.isStopped || exchange.response.destroyed) return;
    await api.hub.nextChange(list, leftMs, exchange.response);
  }
}

/** Encoded once for each query and revision of the service. */
function inOrderOfId(api: Api, exchange: Exchange, list: List): Answer {
  const { revision } = api.member.registry.service(list.namespace, list.service);
  const { bytes, etag } = api.answers.answer(listKey(list), revision, () =>
    JSON.stringify(bodyOf(api, list, { order: "id" })),
  );
  // Clients and caches may keep it, and must ask whether it still holds.
  const headers = { ETag: etag, "Cache-Control": "no-cache" };
  if (clientHas(exchange.request, etag)) return { kind: "empty", status: 304, headers };
  return { kind: "bytes", status: 200, bytes, mediaType: "application/json", headers };
}

function bodyOf(api: Api, list: List, { order, nearZone }: OrderQuery): object {
  const { registry } = api.member;
  const { namespace, service, filter, limit } = list;
  const summary = registry.service(namespace, service);
  const instances = ordered(registry.instances(namespace, service, filter), {
    order,
    nearZone: nearZone ?? null,
    turn: () => api.rotation.turn(listKey(list)),
    random: api.random,
  });
  return {
    namespace,
    service,
    revision: summary.revision,
    protected: summary.protected,
    instances: instances.slice(0, limit ?? instances.length).map(instanceJson),
  };
}

/** Names have no slash, so no two lists share a key. */
function listKey({ namespace, service, filter, limit }: List): string {
  return `${namespace}/${service}/${limit ?? ""}/${filterKey(filter)}`;
}

interface Explained {
  readonly id: string;
  readonly returned: boolean;
  readonly reasons: readonly string[];
}

function withLimit(explained: readonly Explained[], limit: number | null): readonly Explained[] {
  if (limit === null) return explained;
  let returned = 0;
  return explained.map((row) => {
    if (!row.returned) return row;
    returned += 1;
    if (returned <= limit) return row;
    return { ...row, returned: false, reasons: [`${limit} before it already fill limit=${limit}`] };
  });
}
