/**
 * The import table: which folder of src/ may import which. `plugin.ts` enforces it, and `test/fixtures/lint/` holds
 * what must be reported. Adding a folder to src/ means adding a line here first.
 */

export type Layer = {
  /** What it may import besides itself: folders of src/, or "everything". */
  readonly imports: readonly string[] | "everything";
  /** Of other folders it may import types only. */
  readonly typesOnly?: true;
  /** Which modules from outside the repository it may import. */
  readonly outside: "nothing" | "node only" | "node and packages";
};

export const layers: Readonly<Record<string, Layer>> = {
  raft: { imports: [], outside: "nothing" },
  registry: { imports: ["lib"], outside: "nothing" },
  lib: { imports: [], outside: "nothing" },
  replica: { imports: ["raft", "registry", "observability", "lib"], outside: "node and packages" },
  storage: { imports: ["replica", "raft", "registry", "lib"], outside: "node and packages" },
  transport: { imports: ["replica", "raft", "observability", "lib"], outside: "node and packages" },
  http: { imports: ["replica", "registry", "observability", "lib"], outside: "node and packages" },
  gateways: {
    imports: ["http", "replica", "registry", "observability", "lib"],
    outside: "node and packages",
  },
  config: { imports: ["lib"], outside: "node and packages" },
  observability: { imports: ["lib"], outside: "node and packages" },
  client: { imports: ["lib"], typesOnly: true, outside: "node only" },
  cli: { imports: ["client", "config", "lib", "main.ts", "storage"], outside: "node and packages" },
  dashboard: { imports: [], outside: "node and packages" },
  "main.ts": { imports: "everything", outside: "node and packages" },
};

/** Packages that belong to some folders: everybody else goes through these. A package not named here is free. */
export const packageOwners: Readonly<Record<string, readonly string[]>> = {
  level: ["storage"],
  "abstract-level": ["storage"],
  "classic-level": ["storage"],
  express: ["http", "gateways", "main.ts"],
  pino: ["observability"],
  "@prometheus-io/client": ["observability"],
  commander: ["cli", "config"],
};
