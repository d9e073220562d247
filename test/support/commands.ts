/** Commands and settings for tests, with everything ordinary filled in. */

import type { Deregister, Register, RenewOne } from "../../src/registry/commands.ts";
import type { Declaration, InstanceKey } from "../../src/registry/model.ts";

export function aKey(id: string, service = "web"): InstanceKey {
  return { namespace: "default", service, id };
}

export function aDeclaration(changes: Partial<Declaration> = {}): Declaration {
  return {
    host: "10.0.0.1",
    port: 8080,
    scheme: null,
    version: null,
    zone: null,
    weight: 1,
    tags: [],
    metadata: [],
    status: "up",
    ttlMs: 30_000,
    ...changes,
  };
}

export function register(id: string, changes: Partial<Declaration> = {}, service = "web"): Register {
  return {
    kind: "register",
    ...aKey(id, service),
    declared: aDeclaration(changes),
    session: "s1",
    ifAbsent: false,
    ifRevision: null,
  };
}

export function deregister(id: string, service = "web"): Deregister {
  return { kind: "deregister", ...aKey(id, service), incarnation: null };
}

export function renewOne(id: string): RenewOne {
  return { kind: "renewOne", ...aKey(id), incarnation: null, status: null };
}
