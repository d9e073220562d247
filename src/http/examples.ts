/**
 * One example of each endpoint: what /openapi.json and /docs show. A test holds every one of them against the endpoint's own schemas, so
 * that none can lie, and that every endpoint has one.
 */

export interface Example {
  /** Without the question mark. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Of the first answer that the endpoint lists; text where that has no schema. */
  readonly answer: unknown;
  /** Of the second one, where that has a body too. */
  readonly otherAnswer?: unknown;
}

/** What the names in paths are, in every example. */
export const exampleNames: Readonly<Record<string, string>> = {
  namespace: "team-a",
  service: "web",
  id: "web-1",
  code: "superseded",
};

const declared = {
  host: "10.0.0.7",
  port: 8080,
  zone: "eu-1a",
  tags: ["blue"],
  metadata: { owner: "payments" },
  ttlMs: 30_000,
};
const instance = {
  namespace: "default",
  service: "web",
  id: "web-1",
  ...declared,
  weight: 1,
  status: "up",
  incarnation: 42,
  revision: 42,
  registeredAt: "2026-11-20T09:00:00.000Z",
};
const single = { ...instance, expiresInMs: 29_980 };
const key = { service: "web", id: "web-1" };
const settings = {
  protectionMinInstances: 5,
  protectionMaxExpiredPercent: 50,
  protectionWindowMs: 30_000,
  protectionHoldMs: 300_000,
};
const member = {
  id: "n1",
  role: "leader",
  voter: true,
  clientUrl: "http://10.0.0.1:7401",
  peerUrl: "http://10.0.0.1:7501",
  reachable: true,
  lastContactMs: 0,
  matchIndex: 810,
  appliedIndex: 810,
  version: "0.1.0",
};
const cluster = {
  clusterId: "0b6f7c1e-5c1f-4f0e-9d53-1f6ce4a1f0aa",
  member: "n1",
  leader: "n1",
  term: 3,
  commitIndex: 810,
  appliedIndex: 810,
  revision: 42,
  quorum: 2,
  failuresTolerated: 1,
  members: [member],
};

export const examples: Readonly<Record<string, Example>> = {
  registerInstance: {
    headers: { "Idempotency-Key": "7d1c4a" },
    body: { ...declared, session: "4f8a" },
    answer: { instance: single, revision: 42, created: true, changed: true, renewAfterMs: 9_120 },
    otherAnswer: { instance: single, revision: 42, created: false, changed: false, renewAfterMs: 9_120 },
  },
  renewInstance: {
    body: { incarnation: 42 },
    answer: { ttlMs: 30_000, expiresInMs: 29_996, renewAfterMs: 8_840, incarnation: 42 },
  },
  patchInstance: {
    headers: { "If-Match": '"42"' },
    body: { weight: 5, zone: null },
    answer: { instance: { ...single, weight: 5, revision: 43 }, revision: 43, changed: true },
  },
  deregisterInstance: { query: "incarnation=42", answer: { revision: 44 } },
  getInstance: { answer: { instance: single, revision: 42 } },
  drainInstance: {
    body: { reason: "deploy 7", waitMs: 5_000 },
    answer: { revision: 43, propagated: true },
  },
  renewInstances: {
    body: {
      renewals: [
        { ...key, incarnation: 42 },
        { ...key, id: "web-2" },
      ],
    },
    answer: {
      results: [
        { ok: true, expiresInMs: 29_996, incarnation: 42 },
        { ok: false, code: "not_registered", detail: "web-2 is not registered; register it again" },
      ],
      renewAfterMs: 9_300,
    },
  },
  applyBatch: {
    body: {
      operations: [
        { op: "patch", ...key, weight: 5 },
        { op: "deregister", ...key, id: "web-2" },
      ],
    },
    answer: {
      results: [
        { status: 200, instance: { ...single, weight: 5, revision: 43 }, revision: 43, changed: true },
        { status: 200, revision: 44 },
      ],
      revision: 44,
    },
  },
  attachPresence: {
    headers: { "Content-Type": "application/x-ndjson" },
    answer: { type: "attached", connection: 7, attached: [true] },
  },
  putOverride: {
    body: { weight: 0, reason: "suspected memory leak", endsInMs: 3_600_000 },
    answer: {
      instance: {
        ...single,
        weight: 0,
        revision: 43,
        override: { weight: 0, reason: "suspected memory leak", endsInMs: 3_600_000 },
        declared: { weight: 1 },
      },
      revision: 43,
      changed: true,
    },
  },
  deleteOverride: { answer: { instance: { ...single, revision: 44 }, revision: 44, changed: true } },
  discoverInstances: {
    query: "tag=blue&order=near&nearZone=eu-1a",
    answer: { namespace: "default", service: "web", revision: 42, protected: false, instances: [instance] },
  },
  explainDiscovery: {
    query: "zone=eu-1b",
    answer: { instances: [{ id: "web-1", returned: false, reasons: ["its zone is eu-1a, not eu-1b"] }] },
  },
  listHistory: {
    query: "id=web-1&limit=2",
    answer: {
      events: [
        {
          revision: 44,
          at: "2026-11-20T09:10:00.000Z",
          type: "expired",
          id: "web-1",
          incarnation: 42,
          reason: "not renewed for 30000 ms, last through n2",
          member: "n1",
          lastRenewal: "2026-11-20T09:09:29.800Z",
        },
        {
          revision: 42,
          at: "2026-11-20T09:00:00.000Z",
          type: "registered",
          id: "web-1",
          incarnation: 42,
          by: "deployer",
          member: "n2",
        },
      ],
      next: "42",
    },
  },
  getSettings: { answer: { settings, revision: 42 } },
  putSettings: {
    body: { protectionMinInstances: 10 },
    answer: { settings: { ...settings, protectionMinInstances: 10 }, revision: 43 },
  },
  listServices: {
    query: "prefix=we&limit=100",
    answer: {
      revision: 42,
      services: [
        {
          namespace: "default",
          name: "web",
          revision: 42,
          instances: { total: 1, up: 1, starting: 0, draining: 0, down: 0, suspect: 0 },
          protected: false,
        },
      ],
    },
  },
  listNamespaces: { answer: { namespaces: [{ name: "default", services: 1, instances: 1 }] } },
  watchServices: {
    query: "service=web&afterRevision=41",
    headers: { Accept: "application/x-ndjson" },
    answer: { type: "put", revision: 42, instance },
  },
  getCluster: { answer: cluster },
  getStateHash: { answer: { member: "n1", appliedIndex: 810, revision: 42, hash: "9f86d081884c7d65" } },
  addMember: {
    body: { id: "n4", peerUrl: "http://10.0.0.4:7501", clientUrl: "http://10.0.0.4:7401" },
    answer: cluster,
  },
  promoteMember: { answer: cluster },
  removeMember: { answer: cluster },
  transferLeadership: { body: { to: "n2" }, answer: { leader: "n2", term: 4 } },
  compactLog: { answer: { index: 810 } },
  backup: { answer: "The bytes of the backup." },
  live: { answer: "ok" },
  ready: { answer: "[+]leader ok" },
  metrics: { answer: 'rollcall_raft_has_leader{member="n1"} 1' },
  openapi: { answer: "The document." },
  documentation: { answer: "This page." },
  documentationStyle: { answer: "A style sheet." },
  explainError: {
    answer: {
      code: "superseded",
      title: "Another process holds this id",
      status: 409,
      retryable: false,
      meaning:
        "A newer registration under the same id exists. The process that asked is not the owner any more: it must stop renewing.",
    },
  },
};
