/** The OpenAPI 3.1 document, from the same endpoints and schemas that serve and check requests. */

import { z } from "zod";
import type { ErrorCode } from "../lib/errors.ts";
import { problem } from "./answer-schemas.ts";
import { noBody, type BodyRule, type Endpoint, type RequestHeader } from "./endpoint.ts";
import { endpoints, pathsOf } from "./endpoints.ts";
import { examples } from "./examples.ts";
import { isRepeatable, metaParameter } from "./parameters.ts";
import { asksToWait, statusOf } from "./problem.ts";
import { name } from "./schema-parts.ts";

type Json = Record<string, unknown>;

const json = "application/json";

const readErrors: readonly ErrorCode[] = [
  "invalid_argument",
  "no_leader",
  "unavailable",
  "too_stale",
  "overloaded",
  "revision_not_reached",
];

/** What any endpoint of a kind may fail with, beside its own. */
const errorsOf: Readonly<Record<Endpoint["kind"], readonly ErrorCode[]>> = {
  read: readErrors,
  diagnostic: readErrors,
  watch: ["invalid_argument", "unavailable", "overloaded", "revision_not_reached"],
  write: ["invalid_argument", "no_leader", "unavailable", "overloaded", "commit_timeout"],
  server: ["invalid_argument", "overloaded"],
};

/** What a request may fail with before it is looked at, where the cluster asks for tokens. */
const accessErrors: readonly ErrorCode[] = ["unauthenticated", "forbidden", "rate_limited"];
const bodyErrors: readonly ErrorCode[] = ["unsupported_media_type", "too_large"];

let document: Json | null = null;

/** Made once: it depends on nothing but this program. */
export function openApiDocument(): Json {
  return (document ??= makeDocument());
}

function makeDocument(): Json {
  const components = new Components();
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    for (const [i, path] of pathsOf(endpoint).entries()) {
      const id = i === 0 ? endpoint.id : `${endpoint.id}InNamespace`;
      paths[path] = {
        ...paths[path],
        [endpoint.method.toLowerCase()]: operation(endpoint, { id, path, components }),
      };
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Rollcall",
      version: "1",
      description:
        "A service registry that a team runs as a cluster. Any member answers any request; every answer under /v1 says in its " +
        "`Rollcall-...` headers who answered and how fresh it is.",
    },
    paths,
    components: {
      schemas: components.schemas,
      headers: { ...answerHeaders, ...otherHeaders },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "Only where the cluster asks for tokens." },
      },
    },
  };
}

function operation(
  endpoint: Endpoint,
  { id, path, components }: { readonly id: string; readonly path: string; readonly components: Components },
): Json {
  return {
    operationId: id,
    tags: [tagOf(endpoint)],
    summary: endpoint.summary,
    "x-rollcall-policy": endpoint.policy,
    ...(endpoint.policy.right === "open" ? {} : { security: [{ bearer: [] }] }),
    parameters: [
      ...pathParameters(endpoint, path, components),
      ...queryParameters(endpoint, components),
      ...headers(endpoint),
    ],
    ...(endpoint.body === null || endpoint.body === noBody
      ? {}
      : { requestBody: requestBody(endpoint, endpoint.body, components) }),
    responses: withHeaders(path, together(answersOf(endpoint, components), problemsOf(endpoint, components))),
  };
}

/** What every answer under /v1 says of itself (respond.ts). */
const answerHeaders: Readonly<Record<string, Json>> = {
  "Rollcall-Member": header("string", "The member that answers."),
  "Rollcall-Leader": header("string", "The leader that it knows; empty when there is none."),
  "Rollcall-Term": header("integer", "Raft's term there."),
  "Rollcall-Revision": header("integer", "The registry-wide revision, as applied there."),
  "Rollcall-Stale-Ms": header("integer", "An upper bound of how far behind the cluster that may be."),
  "Rollcall-Request-Id": header("string", "Stands in the log beside everything about this request."),
};

/** What only some answers carry. */
const otherHeaders: Readonly<Record<string, Json>> = {
  ETag: header(
    "string",
    "Names this answer, for `If-None-Match`; of a single instance its revision, for `If-Match`.",
  ),
  "Retry-After": header("integer", "Seconds to wait before the request is sent again."),
};

function header(type: "string" | "integer", description: string): Json {
  return { description, schema: { type } };
}

function referencesTo(names: readonly string[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

interface Response {
  readonly description: string;
  readonly headers?: Json;
  readonly content?: Json;
}

/** A status may have both: a member that is not ready says so in lines, and one that is too busy as a problem. */
function together(
  answers: Readonly<Record<string, Response>>,
  problems: Readonly<Record<string, Response>>,
): Json {
  const both = Object.keys(problems).map((status) => {
    const [answer, problem] = [answers[status], problems[status]];
    if (answer === undefined || problem === undefined) return [status, problem];
    const description = `${answer.description} Or: ${problem.description}`;
    return [
      status,
      { ...answer, ...problem, description, content: { ...answer.content, ...problem.content } },
    ];
  });
  return { ...answers, ...(Object.fromEntries(both) as Json) };
}

function withHeaders(path: string, responses: Json): Json {
  const common = path.startsWith("/v1/") ? referencesTo(Object.keys(answerHeaders)) : {};
  const entries = Object.entries(responses as Readonly<Record<string, Response>>);
  return Object.fromEntries(
    entries.map(([status, response]) => [
      status,
      { ...response, headers: { ...common, ...response.headers } },
    ]),
  );
}

function tagOf({ path }: Endpoint): string {
  const [, first = "", second = ""] = path.split("/");
  return first === "v1" ? second : "process";
}

function pathParameters({ params }: Endpoint, path: string, components: Components): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter = ""]) => ({
    name: parameter,
    in: "path",
    required: true,
    schema: components.schemaOf(params.shape[parameter] ?? name, "output"),
  }));
}

function queryParameters({ query }: Endpoint, components: Components): Json[] {
  return Object.entries(query.shape).map(([parameter, schema]) => ({
    name: parameter === metaParameter ? `${metaParameter}.KEY` : parameter,
    in: "query",
    required: !schema.safeParse(undefined).success,
    ...(schema.description === undefined ? {} : { description: schema.description }),
    ...(isRepeatable(schema) ? { explode: true } : {}),
    // A parameter is text; the schema shown is that of what the text means.
    schema: parameter === metaParameter ? { type: "string" } : components.schemaOf(schema, "output"),
  }));
}

const idempotencyKey: RequestHeader = {
  name: "Idempotency-Key",
  description: "A repeat within 10 minutes gets the first result again.",
};

function headers({ keepsResult, headers: own = [] }: Endpoint): Json[] {
  return [...(keepsResult ? [idempotencyKey] : []), ...own].map(({ name, description }) => ({
    name,
    in: "header",
    required: false,
    description,
    schema: { type: "string" },
  }));
}

function requestBody(
  { id }: Endpoint,
  { schema, mediaTypes, absent }: BodyRule,
  components: Components,
): Json {
  const content = { schema: components.schemaOf(schema, "input"), ...exampleOf(examples[id]?.body) };
  return {
    required: absent === undefined,
    content: Object.fromEntries(mediaTypes.map((type) => [type, content])),
  };
}

function exampleOf(value: unknown): Json {
  return value === undefined ? {} : { example: value };
}

function answersOf({ id, answers }: Endpoint, components: Components): Readonly<Record<string, Response>> {
  const responses = answers.map(({ status, description, schema, isTagged, mediaTypes = [json] }, i) => {
    const about = { description, ...(isTagged === true ? { headers: referencesTo(["ETag"]) } : {}) };
    if (schema === null && mediaTypes.includes(json) && status === 304) return [String(status), about];
    const example = exampleOf([examples[id]?.answer, examples[id]?.otherAnswer][i]);
    const content = schema === null ? {} : { schema: components.schemaOf(schema, "output"), ...example };
    return [
      String(status),
      { ...about, content: Object.fromEntries(mediaTypes.map((type) => [type, content])) },
    ];
  });
  return Object.fromEntries(responses) as Record<string, Response>;
}

/** Codes of one status share a response. */
function problemsOf(endpoint: Endpoint, components: Components): Readonly<Record<string, Response>> {
  const codes = [
    ...(endpoint.policy.right === "open" ? [] : accessErrors),
    ...errorsOf[endpoint.kind],
    // A key that was used for another request.
    ...(endpoint.keepsResult ? (["conflict"] as const) : []),
    ...endpoint.errors,
    ...(endpoint.body === null ? [] : bodyErrors),
    "internal" as const,
  ];
  const content = { "application/problem+json": { schema: components.schemaOf(problem, "output") } };
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) {
    const status = statusOf(code, endpoint.kind === "watch");
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => {
      const headers = asksToWait(status) ? { headers: referencesTo(["Retry-After"]) } : {};
      return [String(status), { description: [...of].join(", "), ...headers, content }];
    }),
  );
}

/** Collects the schemas that have an id, so that each stands in the document once. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
    const { $schema: _, $defs = {}, ...converted } = this.#convert(schema, io);
    for (const [id, definition] of Object.entries($defs as Json)) this.schemas[id] = definition;
    return converted;
  }

  /** References are to components, not to the schema's own definitions. */
  #convert(schema: z.ZodType, io: "input" | "output"): Json {
    const converted = z.toJSONSchema(schema, { io, unrepresentable: "any" });
    return JSON.parse(JSON.stringify(converted).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
  }
}
