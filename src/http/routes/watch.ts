/** Opens a stream of changes. What is sent on it, and how, is in `watch/`. */

import type { Request } from "express";
import * as answers from "../answer-schemas.ts";
import { watch, type MemberEndpoint } from "../endpoint.ts";
import type { Exchange } from "../exchange.ts";
import { invalidArgument, preview } from "../invalid.ts";
import { namespaceParameter, repeatable, revisionParameter } from "../parameters.ts";
import { name, text } from "../schema-parts.ts";
import { registryLimits } from "../../registry/model.ts";
import { mediaTypes, type WatchFormat } from "../watch/frames.ts";
import { policies } from "../policy.ts";

/** How many services and prefixes one watch may name. */
const namesMax = 1_000;

export const watchServices: MemberEndpoint = watch({
  id: "watchServices",
  policy: policies.listServices,
  path: "/v1/watch",
  summary:
    "Changes as they happen: a snapshot first, unless `afterRevision` or `Last-Event-ID` can be resumed; then one event a change. " +
    "Server-sent events, or NDJSON with `Accept: application/x-ndjson`.",
  query: {
    service: repeatable(name, namesMax).optional(),
    prefix: repeatable(text(registryLimits.nameChars), namesMax).optional(),
    namespace: namespaceParameter,
    afterRevision: revisionParameter
      .optional()
      .describe("Resume after this revision; wins over `Last-Event-ID`."),
  },
  headers: [{ name: "Last-Event-ID", description: "The revision to resume after." }],
  answers: [
    {
      status: 200,
      description: "A stream that does not end by itself.",
      schema: answers.watchEvent,
      mediaTypes: Object.values(mediaTypes),
    },
  ],
  errors: ["revision_not_reached", "overloaded"],
  handle: async ({ api, exchange, query }) => {
    const { headers } = exchange.request;
    const format = formatFor(exchange);
    const afterRevision = query.afterRevision ?? lastEventId(headers["last-event-id"]);
    api.hub.takePlace(exchange.response);
    exchange.park();
    // A client that comes from a member further ahead must not be sent anything older than it has.
    await api.member.read({
      consistency: "local",
      minRevision: afterRevision,
      waitMs: api.hub.behindWaitMs,
      maxStaleMs: null,
    });
    const { namespace, service: services = [], prefix: prefixes = [] } = query;
    return {
      kind: "stream",
      mediaType: mediaTypes[format],
      // Neither compression nor buffering may hold events back on the way.
      headers: { "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no" },
      open: (response) => api.hub.open(response, { namespace, services, prefixes }, format, afterRevision),
    };
  },
});

/** Server-sent events also for who accepts neither: a refusal would help nobody (RFC 9110, 12.5.1, leaves the choice). */
function formatFor({ request }: Exchange): WatchFormat {
  // What reaches an endpoint has come through Express.
  const accepted = (request as Request).accepts([mediaTypes.sse, mediaTypes.ndjson]);
  return accepted === mediaTypes.ndjson ? "ndjson" : "sse";
}

function lastEventId(header: string | string[] | undefined): number | null {
  if (header === undefined || header === "") return null;
  const revision = typeof header === "string" && /^\d{1,16}$/.test(header) ? Number(header) : Number.NaN;
  if (Number.isSafeInteger(revision)) return revision;
  throw invalidArgument([{ pointer: "Last-Event-ID", detail: `must be a revision; got ${preview(header)}` }]);
}
