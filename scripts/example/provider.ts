// An echo service that registers itself: a real provider to try the registry with.
//
// Usage: scripts/example/provider --help
//
// It answers every request with one line that says who it is. SIGTERM or Ctrl-C: it leaves the list first, goes on answering
// for a moment to those who have not heard yet, and ends. kill -9: nobody tells the registry, so its lease has to run out.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Registry } from "../../src/client/registry.ts";
import { readOptions } from "./options.ts";

const values = readOptions(
  "Usage: scripts/example/provider [--id ID] [--port PORT] [--ttl MS] [--service NAME] [--servers URL,URL,...]",
  {
    id: null,
    port: "0",
    ttl: "5000",
    service: "echo",
    servers: "http://127.0.0.1:7401,http://127.0.0.1:7402,http://127.0.0.1:7403",
  },
);

/** Callers that picked this instance just before it left may still be on their way. */
const lastCallsMs = 500;

const server = createServer((request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(`${id} answers ${request.method} ${request.url}\n`);
});
await new Promise<void>((resolve) => server.listen(Number(values.port), "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
const id = values.id ?? `echo-${port}`;

const registry = new Registry({
  servers: values.servers.split(","),
  clientName: `example-provider ${id}`,
  // This program ends by its own handler below, which does more than deregister.
  deregisterOnExit: false,
});
registry.on("lost", (_registration, reason) => console.log(`${id}: may not be listed any more (${reason})`));
registry.on("regained", ({ incarnation }) => console.log(`${id}: listed again, incarnation ${incarnation}`));
registry.on("superseded", () => {
  console.log(`${id}: another process has registered this id; ending`);
  process.exit(1);
});

const registration = await registry.register(
  { service: values.service, id, host: "127.0.0.1", port, ttlMs: Number(values.ttl) },
  // It may have been started before the registry.
  { timeoutMs: 60_000 },
);
// Before it says so: whoever reads that it is listed may end it at once.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void leave(signal));
}
console.log(
  `${id}: listed as ${values.service} at 127.0.0.1:${port}, incarnation ${registration.incarnation}, pid ${process.pid}`,
);

async function leave(signal: string): Promise<void> {
  const isGone = await registration.close();
  console.log(`${id}: ${signal}: ${isGone ? "left the list" : "nobody heard; the lease will run out"}`);
  await registry.close();
  setTimeout(() => {
    server.close();
    server.closeIdleConnections();
  }, lastCallsMs);
}
