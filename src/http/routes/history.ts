/** What happened to a service's instances, newest first. */

import * as answers from "../answer-schemas.ts";
import { json } from "../answer.ts";
import { read, type MemberEndpoint } from "../endpoint.ts";
import { badCursor, integerParameter, pageParameters } from "../parameters.ts";
import { registryLimits } from "../../registry/model.ts";
import { historyJson } from "../render.ts";
import { name } from "../schema-parts.ts";
import { policies } from "../policy.ts";

export const listHistory: MemberEndpoint = read({
  id: "listHistory",
  policy: policies.readService,
  path: "/v1/services/{service}/history",
  summary: "Who registered, renewed last where, why and when it left, and by whom it was changed.",
  params: { service: name },
  query: {
    id: name.optional(),
    limit: integerParameter(1, registryLimits.historyPerService).default(50),
    cursor: pageParameters.cursor,
  },
  answers: [{ status: 200, description: "One page, newest first.", schema: answers.history }],
  errors: [],
  handle: (call) => {
    const { id = null, limit, cursor } = call.query;
    const events = call.api.member.registry.history(call.namespace, call.params.service, {
      id,
      beforeRevision: revisionIn(cursor),
      limit: limit + 1,
    });
    const page = events.slice(0, limit);
    const last = page.at(-1);
    const next = events.length > limit && last !== undefined ? { next: String(last.revision) } : {};
    return json(200, { events: page.map(historyJson), ...next });
  },
});

/** A cursor is the revision of the page's last event. */
function revisionIn(cursor: string | undefined): number | null {
  if (cursor === undefined) return null;
  const revision = /^\d{1,16}$/.test(cursor) ? Number(cursor) : Number.NaN;
  if (!Number.isSafeInteger(revision)) throw badCursor(cursor);
  return revision;
}
