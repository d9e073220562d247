/** Lists of services and namespaces, in pages. */

import * as answers from "../answer-schemas.ts";
import { json } from "../answer.ts";
import { read, type MemberEndpoint } from "../endpoint.ts";
import { badCursor, pageParameters } from "../parameters.ts";
import { isName } from "../../registry/names.ts";
import { text } from "../schema-parts.ts";
import { registryLimits } from "../../registry/model.ts";
import { policies } from "../policy.ts";

export const listServices: MemberEndpoint = read({
  id: "listServices",
  policy: policies.listServices,
  path: "/v1/services",
  summary: "The services of a namespace, sorted by name; those that became empty lately included.",
  params: {},
  query: { prefix: text(registryLimits.nameChars, 0).default(""), ...pageParameters },
  answers: [{ status: 200, description: "One page.", schema: answers.services }],
  errors: [],
  handle: (call) => {
    const { prefix, limit, cursor } = call.query;
    const { registry } = call.api.member;
    // One more than asked for tells whether there is a next page.
    const rows = registry.services(call.namespace, { prefix, after: nameIn(cursor), limit: limit + 1 });
    return json(200, { revision: registry.revision, ...pageOf("services", rows, limit) });
  },
});

export const listNamespaces: MemberEndpoint = read({
  id: "listNamespaces",
  policy: policies.listEverything,
  path: "/v1/namespaces",
  summary: "The namespaces, sorted by name.",
  params: {},
  query: pageParameters,
  answers: [{ status: 200, description: "One page.", schema: answers.namespaces }],
  errors: [],
  handle: (call) => {
    const { limit, cursor } = call.query;
    const after = nameIn(cursor);
    const rows = call.api.member.registry.namespaces().filter(({ name }) => after === null || name > after);
    return json(200, pageOf("namespaces", rows, limit));
  },
});

/** A cursor is the last name of the page before. */
function nameIn(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  if (!isName(cursor)) throw badCursor(cursor);
  return cursor;
}

function pageOf(field: string, rows: readonly { readonly name: string }[], limit: number): object {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { [field]: page, ...(rows.length > limit && last !== undefined && { next: last.name }) };
}
