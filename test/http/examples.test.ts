import { expect, test } from "vitest";
import type { Endpoint } from "../../src/http/endpoint.ts";
import { endpoints } from "../../src/http/endpoints.ts";
import { exampleNames, examples } from "../../src/http/examples.ts";
import { parseNamed, parseQuery } from "../../src/http/parameters.ts";
import { policies } from "../../src/http/policy.ts";
import type { FieldError } from "../../src/lib/errors.ts";
import { serve } from "./harness.ts";

test("every endpoint has an example and a policy, and nothing else has", () => {
  expect(Object.keys(examples).toSorted()).toEqual(endpoints.map(({ id }) => id).toSorted());
  const known = Object.values(policies);
  for (const { id, policy } of endpoints) expect(known, id).toContainEqual(policy);
});

type Answered = Endpoint["answers"][number];

function takes({ body: rule }: Endpoint, body: unknown): boolean {
  return rule === null ? body === undefined : rule.schema.safeParse(body ?? rule.absent).success;
}

/** What is left of the answer when its schema has looked at it; text, where there is none. */
function answers(documented: Answered | undefined, answer: unknown): unknown {
  return documented?.schema === null ? String(answer) : documented?.schema.parse(answer);
}

test.each(endpoints)("the example of $id is what the endpoint takes and answers", (endpoint) => {
  const { query = "", body, answer, otherAnswer } = examples[endpoint.id] ?? { answer: null };
  const errors: FieldError[] = [];
  const names = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, exampleNames[name]]);
  parseNamed({ namespace: "team-a", ...Object.fromEntries(names) }, endpoint.params.schema, errors);
  parseQuery(query, endpoint.query, errors);
  expect(errors).toEqual([]);
  expect(takes(endpoint, body)).toBe(true);
  const [first, second] = endpoint.answers;
  expect(answers(first, answer)).toEqual(answer);
  const hasOther = second !== undefined && second.schema !== null;
  expect(hasOther ? answers(second, otherAnswer) : undefined).toEqual(otherAnswer);
});

test("the page for people has every call, runs no script and asks nobody else for anything", async () => {
  const { get } = await serve();
  const { text, headers } = await get("/docs");
  expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'self'/);
  for (const { id, path, method } of endpoints) {
    expect(text).toContain(`<section id="${id}"><h3><b>${method}</b> ${path}</h3>`);
  }
  expect(text).not.toMatch(/<script|<img|<iframe|\son\w+=|\sstyle=/i);
  const links = [...text.matchAll(/\s(?:href|src)="([^"]*)"/g)].map(([, link = ""]) => link);
  expect(links.filter((link) => !/^(?:#\w+|\/docs\/style\.css|\/openapi\.json)$/.test(link))).toEqual([]);
  expect((await get("/docs/style.css")).headers["content-type"]).toBe("text/css; charset=utf-8");
});
