/** Holds what real members answer against the document that they serve: the status must be there, and the body must fit its schema. */

import { z } from "zod";
import type { MemberProcess } from "./member-process.ts";

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>
  >;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object };
}

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Got {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test looks into it freely; its shape has been checked already
  readonly body: any;
}

const requestMs = 60_000;

const rollcallHeaders = ["member", "leader", "term", "revision", "stale-ms", "request-id"];

export class Contract {
  readonly #document: Document;
  readonly #schemas = new Map<string, z.ZodType>();
  /** "METHOD template status", for everything that was answered. */
  readonly seen = new Set<string>();

  constructor(document: Document) {
    this.#document = document;
  }

  static async of(member: MemberProcess): Promise<Contract> {
    return new Contract((await (await fetch(`${member.clientUrl}/openapi.json`)).json()) as Document);
  }

  /** Every documented call, once for the default namespace. */
  get calls(): readonly string[] {
    return Object.entries(this.#document.paths)
      .filter(([path]) => !path.startsWith("/v1/namespaces/{namespace}/"))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  }

  async ask(member: MemberProcess, { method, path, body, raw, headers = {} }: Asked): Promise<Got> {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(new URL(path, member.clientUrl), {
      method,
      headers: { ...(content === undefined ? {} : { "content-type": "application/json" }), ...headers },
      signal: AbortSignal.timeout(requestMs),
      ...(content === undefined ? {} : { body: content }),
    });
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    const got = {
      status: response.status,
      headers: response.headers,
      body: type.endsWith("json") && text !== "" ? (JSON.parse(text) as unknown) : text,
    };
    this.check({ method, path }, got);
    return got;
  }

  check({ method, path }: Pick<Asked, "method" | "path">, { status, headers, body }: Got): void {
    const what = `${method} ${path} answered ${status}`;
    const mustHold = (holds: boolean, fault: string): void => {
      if (!holds) throw new Error(`${what}: ${fault}`);
    };
    if (path.startsWith("/v1/"))
      for (const name of rollcallHeaders) mustHold(headers.has(`rollcall-${name}`), `no rollcall-${name}`);
    const type = (headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
    if (type === "application/problem+json") {
      this.#schema({ $ref: "#/components/schemas/Problem" }).parse(body);
      mustHold(body.status === status, `its body says ${body.status}`);
    }
    const template = this.#templateOf(path);
    const operation = template === null ? undefined : this.#document.paths[template]?.[method.toLowerCase()];
    if (operation === undefined)
      return mustHold(status === 404 || status === 405, "nothing is documented there");
    this.seen.add(`${method} ${template} ${status}`);
    const response = operation.responses[String(status)];
    mustHold(response !== undefined, "this status is not documented");
    if (type === "" || status === 304) return;
    const documented = response?.content?.[type];
    mustHold(documented !== undefined, `${type} is not documented`);
    if (documented?.schema !== undefined && type.endsWith("json"))
      this.#schema(documented.schema).parse(body);
  }

  /** The most specific one: with the fewest names to fill in. */
  #templateOf(path: string): string | null {
    const [plain = ""] = path.split("?");
    const fitting = Object.keys(this.#document.paths).filter((template) =>
      new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(plain),
    );
    return fitting.toSorted((a, b) => a.split("{").length - b.split("{").length)[0] ?? null;
  }

  #schema(schema: object): z.ZodType {
    const text = JSON.stringify({ ...schema, $defs: this.#document.components.schemas }).replaceAll(
      '"#/components/schemas/',
      '"#/$defs/',
    );
    const key = JSON.stringify(schema);
    const known = this.#schemas.get(key);
    if (known !== undefined) return known;
    const made = z.fromJSONSchema(JSON.parse(text) as Parameters<typeof z.fromJSONSchema>[0]);
    this.#schemas.set(key, made);
    return made;
  }
}
