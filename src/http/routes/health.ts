/** What the process answers about itself, whether or not a member runs in it yet: health, metrics and documentation. */

import { errorCodes } from "../../lib/errors.ts";
import type { ReadinessCheck } from "../../replica/member.ts";
import * as answers from "../answer-schemas.ts";
import { json, text } from "../answer.ts";
import type { ServerState } from "../api.ts";
import { docsPage, pageHeaders, pageStyle } from "../docs-page.ts";
import { server, type ServerEndpoint } from "../endpoint.ts";
import { problemKinds } from "../problem.ts";
import { oneOf } from "../schema-parts.ts";
import { policies } from "../policy.ts";

const plain = ["text/plain"];

export const live: ServerEndpoint = server({
  id: "live",
  policy: policies.probe,
  path: "/livez",
  summary: "Whether the process works. Says nothing of the cluster: a restart would not help that.",
  params: {},
  answers: [{ status: 200, description: "It works.", schema: null, mediaTypes: plain }],
  errors: [],
  handle: () => text(200, "ok\n"),
});

export const ready: ServerEndpoint = server({
  id: "ready",
  policy: policies.probe,
  path: "/readyz",
  summary:
    "Whether requests should be sent here: it has a leader, has caught up and can write. One line for each check.",
  params: {},
  answers: [
    { status: 200, description: "Ready.", schema: null, mediaTypes: plain },
    { status: 503, description: "Not ready: the lines with [-] say why.", schema: null, mediaTypes: plain },
  ],
  errors: [],
  handle: (state) => {
    const checks = readiness(state);
    const lines = checks.map(lineOf);
    return text(checks.every(({ ok }) => ok) ? 200 : 503, `${lines.join("\n")}\n`);
  },
});

/** What holds may still have something that people should know of. */
function lineOf({ name, ok, detail }: ReadinessCheck): string {
  if (!ok) return `[-]${name} ${detail}`;
  return detail === "" ? `[+]${name} ok` : `[+]${name} ok, but ${detail}`;
}

function readiness({ api, waiting, isStopping }: ServerState): readonly ReadinessCheck[] {
  if (api === null) {
    const reasons = waiting.length === 0 ? ["the member is starting"] : waiting;
    return reasons.map((detail) => ({ name: "start", ok: false, detail }));
  }
  const stopping = { name: "server", ok: !isStopping, detail: isStopping ? "the server is stopping" : "" };
  return [...api.member.readiness(), stopping];
}

export const metrics: ServerEndpoint = server({
  id: "metrics",
  policy: policies.inspectMember,
  path: "/metrics",
  summary: "Prometheus metrics.",
  params: {},
  answers: [{ status: 200, description: "Text for Prometheus.", schema: null, mediaTypes: plain }],
  errors: [],
  handle: async (state) => text(200, await state.metrics.render(), state.metrics.contentType),
});

export const openapi: ServerEndpoint = server({
  id: "openapi",
  policy: policies.documentation,
  path: "/openapi.json",
  summary: "This API, as OpenAPI 3.1.",
  params: {},
  answers: [{ status: 200, description: "The document.", schema: null, mediaTypes: ["application/json"] }],
  errors: [],
  handle: (state) => json(200, state.openapi()),
});

export const documentation: ServerEndpoint = server({
  id: "documentation",
  policy: policies.documentation,
  path: "/docs",
  summary: "This API, as a page for people.",
  params: {},
  answers: [{ status: 200, description: "The page.", schema: null, mediaTypes: ["text/html"] }],
  errors: [],
  handle: (state) => ({
    ...text(200, (page ??= docsPage(state.openapi())), "text/html; charset=utf-8"),
    headers: pageHeaders,
  }),
});

/** Made at the first question, and never different. */
let page: string | null = null;

export const documentationStyle: ServerEndpoint = server({
  id: "documentationStyle",
  policy: policies.documentation,
  path: "/docs/style.css",
  summary: "How the page for people looks.",
  params: {},
  answers: [{ status: 200, description: "A style sheet.", schema: null, mediaTypes: ["text/css"] }],
  errors: [],
  handle: () => text(200, pageStyle, "text/css; charset=utf-8"),
});

export const errorPage: ServerEndpoint = server({
  id: "explainError",
  policy: policies.documentation,
  path: "/errors/{code}",
  summary: "What an error code means, and what to do: the page that a problem's `type` names.",
  params: { code: oneOf(errorCodes) },
  answers: [{ status: 200, description: "The meaning.", schema: answers.errorPage }],
  errors: [],
  handle: (_state, { code }) => json(200, { code, ...problemKinds[code] }),
});
