/** Commands about services and instances. */

import { Option, type Command } from "commander";
import { collect, collectPair, wholeNumber } from "./arguments.ts";
import { contextOf } from "./context.ts";

interface ServiceRow {
  readonly name: string;
  readonly revision: number;
  readonly protected: boolean;
  readonly instances: Readonly<Record<"total" | "up" | "starting" | "draining" | "down" | "suspect", number>>;
}

interface InstanceRow {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly status: string;
  readonly version?: string | null;
  readonly zone?: string | null;
  readonly weight?: number;
  readonly tags?: readonly string[];
  readonly suspect?: boolean;
}

interface RegisterOptions {
  readonly host: string;
  readonly port: number;
  readonly ttl?: number;
  readonly tag?: readonly string[];
  readonly meta?: Readonly<Record<string, string>>;
  readonly zone?: string;
  readonly release?: string;
  readonly weight?: number;
  readonly namespace: string;
}

const namespaceOption = (): Option => new Option("-n, --namespace <name>", "namespace").default("default");

export function addRegistryCommands(program: Command): void {
  program
    .command("services")
    .description("all services of a namespace")
    .addOption(namespaceOption())
    .action(async ({ namespace }: { namespace: string }, command: Command) => {
      const context = contextOf(command);
      const services = await allServices((path) => context.api.get(path), namespace);
      context.rows(
        services,
        [
          { title: "SERVICE", of: (row) => row.name },
          { title: "INSTANCES", of: (row) => row.instances.total },
          { title: "UP", of: (row) => row.instances.up },
          { title: "DOWN", of: (row) => row.instances.down },
          { title: "REVISION", of: (row) => row.revision },
          { title: "PROTECTED", of: (row) => row.protected },
        ],
        services,
      );
    });
  program
    .command("instances <service>")
    .description("the instances of a service")
    .addOption(namespaceOption())
    .option("--status <status>", "only these (up, starting, draining, down), or any", "any")
    .option("--tag <tag>", "only those with this tag; may be repeated", collect)
    .action(async (service: string, options: InstancesOptions, command: Command) => {
      const context = contextOf(command);
      const query = new URLSearchParams([
        ["status", options.status],
        ...(options.tag ?? []).map((tag): [string, string] => ["tag", tag]),
      ]);
      const path = `${servicePath(options.namespace, service)}/instances?${query.toString()}`;
      const answer = await context.api.get<{ readonly instances: readonly InstanceRow[] }>(path);
      context.rows(
        answer.instances,
        [
          { title: "INSTANCE", of: (row) => row.id },
          { title: "ADDRESS", of: (row) => `${row.host}:${row.port}` },
          { title: "STATUS", of: (row) => (row.suspect === true ? `${row.status}, suspect` : row.status) },
          { title: "VERSION", of: (row) => row.version },
          { title: "ZONE", of: (row) => row.zone },
          { title: "TAGS", of: (row) => row.tags?.join(",") },
        ],
        answer,
      );
    });
  addChanges(program);
}

interface InstancesOptions {
  readonly namespace: string;
  readonly status: string;
  readonly tag?: readonly string[];
}

function addChanges(program: Command): void {
  program
    .command("register <service> <id>")
    .description("registers an instance; its lease runs out unless somebody renews it")
    .requiredOption("--host <host>", "where it answers")
    .requiredOption("--port <port>", "where it answers", wholeNumber)
    .option("--ttl <ms>", "how long it stays without a renewal", wholeNumber)
    .option("--tag <tag>", "may be repeated", collect)
    .option("--meta <key=value>", "may be repeated", collectPair)
    .option("--zone <zone>", "where it runs")
    .option("--release <version>", "its version")
    .option("--weight <n>", "its share in weighted order", wholeNumber)
    .addOption(namespaceOption())
    .action(async (service: string, id: string, options: RegisterOptions, command: Command) => {
      const context = contextOf(command);
      const answer = await context.api.put<{ readonly revision: number; readonly created: boolean }>(
        instancePath(options.namespace, service, id),
        registration(options),
      );
      const what = answer.created ? "registered" : "was registered already; it is as given now";
      context.done(`${service}/${id} ${what} (revision ${answer.revision}).`, answer);
    });
  program
    .command("deregister <service> <id>")
    .description("removes an instance at once")
    .addOption(namespaceOption())
    .action(async (service: string, id: string, options: { namespace: string }, command: Command) => {
      const context = contextOf(command);
      const answer = await context.api.delete<{ readonly revision: number }>(
        instancePath(options.namespace, service, id),
      );
      context.done(`${service}/${id} deregistered (revision ${answer.revision}).`, answer);
    });
}

function registration(options: RegisterOptions): unknown {
  const { host, port, ttl, tag, meta, zone, release, weight } = options;
  return {
    host,
    port,
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(meta === undefined ? {} : { metadata: meta }),
    ...(zone === undefined ? {} : { zone }),
    ...(release === undefined ? {} : { version: release }),
    ...(weight === undefined ? {} : { weight }),
  };
}

async function allServices(
  get: (path: string) => Promise<{ readonly services: readonly ServiceRow[]; readonly next?: string }>,
  namespace: string,
): Promise<readonly ServiceRow[]> {
  const services: ServiceRow[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? "" : `?${new URLSearchParams({ cursor }).toString()}`;
    const page = await get(`${namespacePath(namespace)}/services${query}`);
    services.push(...page.services);
    cursor = page.next;
  } while (cursor !== undefined);
  return services;
}

function namespacePath(namespace: string): string {
  return `/v1/namespaces/${encodeURIComponent(namespace)}`;
}

function servicePath(namespace: string, service: string): string {
  return `${namespacePath(namespace)}/services/${encodeURIComponent(service)}`;
}

function instancePath(namespace: string, service: string, id: string): string {
  return `${servicePath(namespace, service)}/instances/${encodeURIComponent(id)}`;
}
