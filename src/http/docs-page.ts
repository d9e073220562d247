/**
 * The documentation page: /openapi.json as HTML, made once. It has no script and asks nobody else for anything, so it works where there is no
 * internet, and its content security policy forbids all but its own style sheet.
 */

import { exampleNames, examples } from "./examples.ts";
import type { Policy } from "./policy.ts";

export const pageHeaders: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
    readonly schema: object;
  }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly "x-rollcall-policy": Policy;
}

interface Document {
  readonly info: { readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Row {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

const twin = "/v1/namespaces/{namespace}/services";

export function docsPage(document: object): string {
  const { paths, info } = document as Document;
  const rows = Object.entries(paths)
    .filter(([path]) => !path.startsWith(twin))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): Row => ({
        method: method.toUpperCase(),
        path,
        operation,
      })),
    );
  const tags = [...new Set(rows.flatMap(({ operation }) => operation.tags))];
  const parts = tags.map((tag) => {
    const ofTag = rows.filter(({ operation }) => operation.tags.includes(tag));
    return `<h2 id="${escape(tag)}">${escape(tag)}</h2>${ofTag.map(section).join("")}`;
  });
  const contents = rows.map(
    ({ method, path, operation }) =>
      `<li><a href="#${operation.operationId}"><b>${method}</b> ${escape(path)}</a></li>`,
  );
  return (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rollcall: the HTTP API</title>' +
    '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/style.css"></head><body>' +
    `<h1>Rollcall: the HTTP API</h1><p>${escape(info.description)}</p>` +
    `<p>Everything under <code>/v1/services</code> is there under <code>${twin}</code> too. ` +
    'For machines: <a href="/openapi.json">/openapi.json</a>.</p>' +
    `<nav><ul>${contents.join("")}</ul></nav>${parts.join("")}</body></html>`
  );
}

function section({ method, path, operation }: Row): string {
  const { operationId, summary, parameters, responses } = operation;
  return (
    `<section id="${operationId}"><h3><b>${method}</b> ${escape(path)}</h3><p>${escape(summary)}</p>` +
    `<p class="policy">${policyInWords(operation["x-rollcall-policy"])}</p>` +
    table(
      ["Parameter", "In", "What it is"],
      parameters.map((one) => [
        `${one.name}${one.required ? " (required)" : ""}`,
        one.in,
        [one.description ?? "", rulesOf(one.schema)].filter((part) => part !== "").join(" "),
      ]),
    ) +
    exampleOf(method, path, operation) +
    table(
      ["Status", "Meaning"],
      Object.entries(responses).map(([status, { description }]) => [status, description]),
    ) +
    "</section>"
  );
}

function policyInWords({ right, load }: Policy): string {
  const asked = right === "open" ? "Needs no token." : `Where tokens are asked for: the right to ${right}.`;
  return `${asked} Under overload: class ${load}.`;
}

/** The bounds and the default of a parameter, as JSON Schema says them. */
function rulesOf(schema: object): string {
  const shown = Object.entries(schema).filter(
    ([, value]) => typeof value !== "object" || Array.isArray(value),
  );
  return shown.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ");
}

function exampleOf(method: string, path: string, { operationId }: Operation): string {
  const example = examples[operationId];
  if (example === undefined) return "";
  const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => exampleNames[name] ?? name);
  const query = example.query === undefined ? "" : `?${example.query}`;
  const headers = Object.entries(example.headers ?? {}).map(([name, value]) => ` -H '${name}: ${value}'`);
  const body = example.body === undefined ? "" : ` \\\n  --json '${JSON.stringify(example.body)}'`;
  const call = `curl -X ${method} 'http://127.0.0.1:7401${target}${query}'${headers.join("")}${body}`;
  const answer =
    typeof example.answer === "string" ? example.answer : JSON.stringify(example.answer, null, 2);
  return `<pre class="call">${escape(call)}</pre><pre>${escape(answer)}</pre>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${cells("th", head)}${rows.map((row) => cells("td", row)).join("")}</table>`;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escape(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => entities[character] ?? "");
}

export const pageStyle = `:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre, h3, nav { font-family: ui-monospace, monospace; font-size: 0.875rem; }
h3 { font-weight: normal; font-size: 1rem; margin-bottom: 0; }
nav ul { list-style: none; padding: 0; columns: 2 24rem; }
section { border-top: 1px solid #8886; padding-bottom: 1rem; }
pre { background: #8882; padding: 0.75rem; overflow-x: auto; }
pre.call { border-left: 3px solid #48f; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0; border-bottom: 1px solid #8883; }
.policy { color: #888; font-size: 0.875rem; }
`;
