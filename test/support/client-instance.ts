/** An instance as the registry shows it, for tests of the SDK. */

import type { Instance } from "../../src/client/types.ts";

export function anInstance(fields: Partial<Instance> = {}): Instance {
  return {
    namespace: "default",
    service: "echo",
    id: "e1",
    host: "127.0.0.1",
    port: 80,
    weight: 1,
    tags: [],
    metadata: {},
    status: "up",
    ttlMs: 30_000,
    incarnation: 1,
    revision: 1,
    registeredAt: "2026-01-01T00:00:00.000Z",
    ...fields,
  };
}
