/**
 * A registry for tests of the SDK: one shared state behind any number of HTTP servers on 127.0.0.1, which speak the part of the API that the SDK
 * uses and can be told to misbehave. It has no consensus, no lease clock and no validation: those are tested where they live.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Instance, WatchEvent } from "../../src/client/types.ts";
import { freePorts } from "./free-ports.ts";

/** Bounds for a client of it that no machine is too slow for. */
export const unhurried = { timeoutMs: 60_000, attemptTimeoutMs: 60_000 };

export interface Seen {
  readonly member: string;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

/**
 * What a test may have a member do instead of answering: an answer of its own; `hang` never answers; `break` cuts the connection before anything
 * is done; `breakAfter` does what was asked and cuts the connection then.
 */
export type Misbehaviour =
  | "hang"
  | "break"
  | "breakAfter"
  | { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> };

type Json = Record<string, unknown>;

interface Held extends Instance {
  readonly session: unknown;
}

export class FakeRegistry {
  readonly #servers = new Map<string, Server>();
  readonly #urls: string[] = [];
  readonly #watchers = new Map<ServerResponse, { member: string; service: string }>();
  readonly #instances = new Map<string, Held>();
  readonly #serviceRevisions = new Map<string, number>();
  readonly #events: WatchEvent[] = [];
  readonly #answers = new Map<string, { status: number; body: Json }>();
  readonly #wakers = new Set<() => void>();
  revision = 0;
  renewAfterMs = 50;
  hasWatch = true;
  readonly seen: Seen[] = [];
  /** Asked before each request is handled. */
  misbehave: (request: Seen) => Misbehaviour | undefined = () => undefined;

  static async start(members = 1): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    // Where a member that was killed can be revived.
    for (const [i, port] of (await freePorts(members)).entries()) {
      await registry.#listen(`n${i + 1}`, port);
      registry.#urls.push(`http://127.0.0.1:${port}`);
    }
    return registry;
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  /** Requests of a method, and of a path that contains the text. */
  requests(method: string, text = ""): readonly Seen[] {
    return this.seen.filter((one) => one.method === method && one.path.includes(text));
  }

  get openWatches(): readonly string[] {
    return [...this.#watchers.values()].map(({ member }) => member);
  }

  /** As when the process is killed: the port is closed and every connection reset. */
  async kill(member: string): Promise<void> {
    const server = this.#servers.get(member);
    if (server === undefined) return;
    this.#servers.delete(member);
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async revive(member: string): Promise<void> {
    const url = this.#urls[Number(member.slice(1)) - 1] ?? "";
    await this.#listen(member, Number(new URL(url).port));
  }

  async close(): Promise<void> {
    for (const wake of this.#wakers) wake();
    await Promise.all([...this.#servers.keys()].map((member) => this.kill(member)));
  }

  /** Registers from outside, as another process would. */
  put(service: string, id: string, fields: Partial<Instance> & { session?: string } = {}): Instance {
    const session = `outside ${this.revision}`;
    return this.#put("default", service, id, { host: "127.0.0.1", port: 80, session, ...fields }).instance;
  }

  /** Removes an instance as the end of its lease would. */
  expire(service: string, id: string): void {
    this.#remove("default", service, id, "expired");
  }

  get(service: string, id: string): Held | undefined {
    return this.#instances.get(`default/${service}/${id}`);
  }

  /** Sends a line to every open watch. */
  broadcast(line: Json): void {
    for (const response of this.#watchers.keys()) response.write(`${JSON.stringify(line)}\n`);
  }

  async #listen(member: string, port: number): Promise<void> {
    const server = createServer((request, response) => {
      this.#handle(member, request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    this.#servers.set(member, server);
  }

  async #handle(member: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const url = new URL(request.url ?? "/", "http://fake");
    const seen: Seen = {
      member,
      method: request.method ?? "",
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    this.seen.push(seen);
    const wish = this.misbehave(seen);
    if (wish === "hang") return;
    if (wish === "break") {
      response.destroy();
      return;
    }
    if (wish !== undefined && wish !== "breakAfter") {
      this.#send(member, response, wish.status, wish.body, wish.headers);
      return;
    }
    if (seen.path === "/v1/watch" && this.hasWatch) {
      this.#watch(seen, response);
      return;
    }
    const { status, body } = await this.#once(seen);
    if (wish === "breakAfter") response.destroy();
    else this.#send(member, response, status, body);
  }

  #send(
    member: string,
    response: ServerResponse,
    status: number,
    body: unknown,
    headers: Record<string, string> = {},
  ): void {
    response.writeHead(status, {
      "content-type": status >= 400 ? "application/problem+json" : "application/json",
      "rollcall-member": member,
      "rollcall-leader": "n1",
      "rollcall-term": "3",
      "rollcall-revision": String(this.revision),
      "rollcall-stale-ms": "0",
      "rollcall-request-id": `r${this.seen.length}`,
      ...headers,
    });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }

  /** A repeated idempotency key gets the first result again. */
  async #once(seen: Seen): Promise<{ status: number; body: Json }> {
    const key = seen.headers["idempotency-key"];
    const known = typeof key === "string" ? this.#answers.get(key) : undefined;
    if (known !== undefined) return known;
    const answer = await this.#answer(seen);
    if (typeof key === "string") this.#answers.set(key, answer);
    return answer;
  }

  async #answer(seen: Seen): Promise<{ status: number; body: Json }> {
    if (seen.path === "/v1/renewals" && seen.method === "POST") return this.#renewals(seen.body as Json);
    const match =
      /^\/v1(?:\/namespaces\/([^/]+))?\/services\/([^/]+)\/instances(?:\/([^/]+))?$/.exec(seen.path) ?? [];
    const [, namespace = "default", service, id] = match;
    if (service === undefined) return problem(404, "not_found", `no such path: ${seen.path}`);
    if (id === undefined) return this.#list(namespace, service, seen.query);
    const held = this.#instances.get(`${namespace}/${service}/${id}`);
    switch (seen.method) {
      case "PUT": {
        const { instance, created, changed } = this.#put(namespace, service, id, seen.body as Json);
        const { renewAfterMs } = this;
        return {
          status: created ? 201 : 200,
          body: { instance, revision: instance.revision, created, changed, renewAfterMs },
        };
      }
      case "PATCH": {
        if (held === undefined) return problem(404, "not_registered", `${id} is not registered`);
        const instance = { ...held, ...(seen.body as Json), revision: ++this.revision };
        this.#store(instance);
        return {
          status: 200,
          body: { instance: shown(instance), revision: instance.revision, changed: true },
        };
      }
      case "DELETE": {
        const incarnation = Number(seen.query.get("incarnation"));
        if (held === undefined) return problem(404, "not_registered", `${id} is not registered`);
        if (held.incarnation > incarnation) return problem(409, "superseded", `${id} is another's`);
        this.#remove(namespace, service, id, "deregistered");
        return { status: 200, body: { revision: this.revision } };
      }
      default:
        if (held === undefined) return problem(404, "not_registered", `${id} is not registered`);
        return {
          status: 200,
          body: { instance: { ...shown(held), expiresInMs: held.ttlMs }, revision: held.revision },
        };
    }
  }

  #renewals(body: Json): { status: number; body: Json } {
    const renewals = body["renewals"] as {
      namespace: string;
      service: string;
      id: string;
      incarnation: number;
    }[];
    const results = renewals.map(({ namespace, service, id, incarnation }) => {
      const held = this.#instances.get(`${namespace}/${service}/${id}`);
      if (held === undefined || held.incarnation < incarnation) return { ok: false, code: "not_registered" };
      if (held.incarnation > incarnation) return { ok: false, code: "superseded" };
      return { ok: true, expiresInMs: held.ttlMs };
    });
    return { status: 200, body: { results, renewAfterMs: this.renewAfterMs } };
  }

  #put(
    namespace: string,
    service: string,
    id: string,
    body: Json,
  ): { instance: Instance; created: boolean; changed: boolean } {
    const before = this.#instances.get(`${namespace}/${service}/${id}`);
    if (before !== undefined && before.session === body["session"]) {
      return { instance: shown(before), created: false, changed: false };
    }
    this.revision += 1;
    const held = {
      weight: 1,
      tags: [],
      metadata: {},
      status: "up",
      ttlMs: 30_000,
      registeredAt: "2026-01-01T00:00:00.000Z",
      ...body,
      namespace,
      service,
      id,
      incarnation: this.revision,
      revision: this.revision,
    } as unknown as Held;
    this.#store(held);
    return { instance: shown(held), created: before === undefined, changed: true };
  }

  #store(held: Held): void {
    this.#instances.set(`${held.namespace}/${held.service}/${held.id}`, held);
    this.#publish(held.service, { type: "put", revision: held.revision, instance: shown(held) });
  }

  #remove(namespace: string, service: string, id: string, reason: "deregistered" | "expired"): void {
    if (!this.#instances.delete(`${namespace}/${service}/${id}`)) return;
    this.revision += 1;
    this.#publish(service, { type: "delete", revision: this.revision, namespace, service, id, reason });
  }

  #publish(service: string, event: WatchEvent): void {
    this.#serviceRevisions.set(service, event.revision);
    this.#events.push(event);
    for (const [response, watcher] of this.#watchers) {
      if (watcher.service === service || watcher.service === "") response.write(`${JSON.stringify(event)}\n`);
    }
    for (const wake of this.#wakers) wake();
  }

  #listed(namespace: string, service: string): Instance[] {
    return [...this.#instances.values()]
      .filter((held) => held.namespace === namespace && held.service === service)
      .map(shown);
  }

  async #list(
    namespace: string,
    service: string,
    query: URLSearchParams,
  ): Promise<{ status: number; body: Json }> {
    const after = Number(query.get("afterRevision") ?? -1);
    const deadline = performance.now() + Number(query.get("waitMs") ?? 0);
    while ((this.#serviceRevisions.get(service) ?? 0) <= after && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - performance.now());
        const wake = (): void => {
          clearTimeout(timer);
          this.#wakers.delete(wake);
          resolve();
        };
        this.#wakers.add(wake);
      });
      if (this.#servers.size === 0) break;
    }
    const status = query.getAll("status");
    const instances = this.#listed(namespace, service).filter(
      (one) =>
        status.includes("any") || (status.length === 0 ? one.status === "up" : status.includes(one.status)),
    );
    const revision = this.#serviceRevisions.get(service) ?? 0;
    return { status: 200, body: { namespace, service, revision, protected: false, instances } };
  }

  #watch(seen: Seen, response: ServerResponse): void {
    const service = seen.query.get("service") ?? "";
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const after = seen.query.get("afterRevision");
    const first: WatchEvent[] =
      after === null
        ? [
            {
              type: "snapshot",
              revision: this.revision,
              services: { [service]: this.#listed("default", service) },
            },
          ]
        : [
            ...this.#events.filter((event) => event.revision > Number(after)),
            { type: "sync", revision: this.revision },
          ];
    for (const event of first) response.write(`${JSON.stringify(event)}\n`);
    this.#watchers.set(response, { member: seen.member, service });
    response.on("close", () => this.#watchers.delete(response));
  }
}

function shown({ session: _session, ...instance }: Held): Instance {
  return instance;
}

function problem(status: number, code: string, detail: string): { status: number; body: Json } {
  return {
    status,
    body: {
      type: `/errors/${code}`,
      title: code,
      status,
      code,
      detail,
      retryable: status >= 500,
      outcome: "not_applied",
    },
  };
}
