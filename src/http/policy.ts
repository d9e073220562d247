/**
 * What an endpoint asks of a request before anything is done for it: which right a token must have, which names the request touches, and
 * how it ranks when there are too many. Every endpoint states one (endpoints.ts is checked for it), and /openapi.json shows it.
 */

import type { AccessRight } from "../lib/access-token.ts";

/**
 * In the order in which they are kept under load. `vital`: a refused renewal may cost an instance its place, a deregistration sends
 * clients away from what goes down, and an operator must get through.
 */
export const loadClasses = ["vital", "registration", "read", "list"] as const;
export type LoadClass = (typeof loadClasses)[number];

/**
 * Where a request names what it touches, so that a token which is limited to a namespace or to services can be held against it.
 * `nothing`: it shows and changes nothing of any service. `everything`: it cannot be limited.
 */
type Scope = "nothing" | "service in path" | "services in query" | "services in body" | "everything";

export interface Policy {
  /** "open": also without a token. */
  readonly right: AccessRight | "open";
  readonly scope: Scope;
  readonly load: LoadClass;
}

export const policies = {
  probe: { right: "open", scope: "nothing", load: "vital" },
  documentation: { right: "open", scope: "nothing", load: "list" },
  inspectMember: { right: "read", scope: "nothing", load: "vital" },
  readService: { right: "read", scope: "service in path", load: "read" },
  listServices: { right: "read", scope: "services in query", load: "list" },
  listEverything: { right: "read", scope: "everything", load: "list" },
  writeInstance: { right: "write", scope: "service in path", load: "registration" },
  keepInstance: { right: "write", scope: "service in path", load: "vital" },
  writeInstances: { right: "write", scope: "services in body", load: "registration" },
  keepInstances: { right: "write", scope: "services in body", load: "vital" },
  operateService: { right: "operate", scope: "service in path", load: "registration" },
  operateCluster: { right: "operate", scope: "everything", load: "vital" },
} as const satisfies Record<string, Policy>;
