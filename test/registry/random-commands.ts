/** Random commands over few names, so that they meet each other; and random times, so that things become due. */

import fc from "fast-check";
import type { Command, CommandKind } from "../../src/registry/commands.ts";
import { instanceStatuses, type Declaration, type InstanceKey } from "../../src/registry/model.ts";

const key: fc.Arbitrary<InstanceKey> = fc.record({
  namespace: fc.constantFrom("default", "default", "default", "default", "blue"),
  service: fc.constantFrom("web", "web", "web", "web", "api"),
  id: fc.constantFrom("a", "b", "c", "d", "e", "f", "g"),
});

/** Null nine times of ten: for conditions that would refuse nearly everything. */
function rarely<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });
}

function maybe<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> {
  return fc.oneof(fc.constant(null), value);
}

const text = fc.constantFrom("x", "y", "__proto__", "ä/ß", "");
const tags = fc.array(text, { maxLength: 3 });
const status = fc.constantFrom(...instanceStatuses);
const ttlMs = fc.constantFrom(1_000, 3_000, 30_000, 999);

export const declaration: fc.Arbitrary<Declaration> = fc.record({
  host: fc.constantFrom("h1", "h2", ""),
  port: fc.constantFrom(0, 80, 65_536),
  scheme: maybe(text),
  version: maybe(text),
  zone: maybe(text),
  weight: fc.constantFrom(0, 1, 10_001),
  tags,
  metadata: fc.array(fc.tuple(text, text), { maxLength: 3 }),
  status,
  ttlMs,
});

/** Around the revisions that a short run reaches. */
const revision = fc.nat(60);

const register = fc.record({
  kind: fc.constant("register" as const),
  key,
  // Mostly the plain declaration, so that the same body comes twice.
  declared: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...[1_000, 2_000, 30_000].map(plain)) },
    { weight: 1, arbitrary: declaration },
  ),
  session: fc.constantFrom(null, "s1", "s2"),
  ifAbsent: fc.constantFrom(...Array<false>(9).fill(false), true),
  ifRevision: rarely(revision),
});

function plain(ttl: number): Declaration {
  return {
    host: "h",
    port: 1,
    scheme: null,
    version: null,
    zone: null,
    weight: 1,
    tags: [],
    metadata: [],
    status: "up",
    ttlMs: ttl,
  };
}

const renewOne = fc.record({
  kind: fc.constant("renewOne" as const),
  key,
  incarnation: rarely(revision),
  status: maybe(status),
});

const patchFields = {
  kind: fc.constant("patch" as const),
  key,
  changes: fc.record(
    {
      host: fc.constantFrom("h1", "h2"),
      port: fc.constantFrom(1, 2, 65_536),
      scheme: maybe(text),
      version: maybe(text),
      zone: maybe(text),
      weight: maybe(fc.nat(3)),
      tags: maybe(tags),
      metadata: maybe(fc.array(fc.tuple(text, maybe(text)), { maxLength: 3 })),
      status: maybe(status),
      ttlMs: maybe(ttlMs),
    },
    { requiredKeys: [] },
  ),
  incarnation: rarely(revision),
  ifRevision: rarely(revision),
};

const patch = fc.oneof(fc.record(patchFields), fc.record({ ...patchFields, reason: text }));

const deregister = fc.record({
  kind: fc.constant("deregister" as const),
  key,
  incarnation: rarely(revision),
});

const setOverride = fc.record({
  kind: fc.constant("setOverride" as const),
  key,
  layer: maybe(
    fc.record({
      weight: maybe(fc.nat(3)),
      tags: maybe(tags),
      status: maybe(status),
      reason: text,
      endsInMs: maybe(fc.constantFrom(400, 400, 1_000, 0)),
    }),
  ),
});

/** Names are given as a key and spread afterwards: fast-check cannot spread. */
function spread<Value extends { readonly key: InstanceKey }>(value: Value): Omit<Value, "key"> & InstanceKey {
  const { key: name, ...rest } = value;
  return { ...rest, ...name };
}

const operation = fc.oneof(
  { weight: 4, arbitrary: register.map(spread) },
  { weight: 1, arbitrary: renewOne.map(spread) },
  { weight: 1, arbitrary: patch.map(spread) },
  { weight: 1, arbitrary: deregister.map(spread) },
);

const byKind: { readonly [Kind in CommandKind]: fc.Arbitrary<Extract<Command, { kind: Kind }>> } = {
  register: register.map(spread),
  renewOne: renewOne.map(spread),
  patch: patch.map(spread),
  deregister: deregister.map(spread),
  setOverride: setOverride.map(spread),
  renew: fc.record({ kind: fc.constant("renew" as const), handles: fc.array(revision, { maxLength: 20 }) }),
  expire: fc.constant({ kind: "expire" as const }),
  setSettings: fc.record({
    kind: fc.constant("setSettings" as const),
    namespace: fc.constant("default"),
    service: fc.constantFrom("web", "api", "idle"),
    changes: fc.record(
      {
        protectionMinInstances: fc.nat(5),
        protectionMaxExpiredPercent: fc.constantFrom(0, 50, 100, 101),
        protectionWindowMs: fc.constantFrom(1_000, 5_000),
        protectionHoldMs: fc.constantFrom(1_000, 5_000),
      },
      { requiredKeys: [] },
    ),
  }),
  presence: fc.record({
    kind: fc.constant("presence" as const),
    change: fc.constantFrom("attach", "attach", "break"),
    instances: fc.array(
      fc.tuple(key, revision).map(([name, incarnation]) => ({ ...name, incarnation })),
      { maxLength: 8 },
    ),
    connection: fc.nat(4),
    lingerMs: fc.constantFrom(0, 2_000),
  }),
  batch: fc.record({
    kind: fc.constant("batch" as const),
    operations: fc.array(operation, { maxLength: 5 }),
  }),
};

const weights: Record<CommandKind, number> = {
  register: 8,
  renew: 3,
  renewOne: 2,
  patch: 3,
  deregister: 2,
  expire: 4,
  setOverride: 4,
  setSettings: 1,
  presence: 3,
  batch: 1,
};

export const command: fc.Arbitrary<Command> = fc.oneof(
  ...(Object.keys(weights) as CommandKind[]).map((kind) => ({
    weight: weights[kind],
    arbitrary: byKind[kind] as fc.Arbitrary<Command>,
  })),
);

export interface RandomEntry {
  readonly passMs: number;
  readonly envelopes: readonly {
    readonly command: Command;
    readonly member: string;
    readonly at: number;
    readonly idempotencyKey: string | null;
    readonly by: string | null;
  }[];
}

export const entry: fc.Arbitrary<RandomEntry> = fc.record({
  // Now and then a leap beyond everything that is kept for a time.
  passMs: fc.oneof(
    { weight: 25, arbitrary: fc.constantFrom(0, 0, 0, 400, 1_000) },
    { weight: 1, arbitrary: fc.constantFrom(40_000, 700_000, 90_000_000) },
  ),
  envelopes: fc.array(
    fc.record({
      command,
      member: fc.constantFrom("n1", "n2", "n3"),
      at: fc.nat(1_000),
      idempotencyKey: rarely(fc.constantFrom("k1", "k2")),
      by: maybe(fc.constant("somebody")),
    }),
    { maxLength: 4 },
  ),
});
