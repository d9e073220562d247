import { expect, test } from "vitest";
import type { LogFields, Logger } from "../../src/observability/logger.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import type { RegistryEvent } from "../../src/registry/commands.ts";
import { LogEvents } from "../../src/replica/log-events.ts";

function observed(): {
  readonly events: LogEvents;
  readonly lines: string[];
  readonly fatal: unknown[];
  readonly metrics: Metrics;
} {
  const lines: string[] = [];
  const fatal: unknown[] = [];
  const to = (level: string) => (fields: LogFields, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const logger: Logger = {
    debug: () => {},
    info: to("info"),
    warn: to("warn"),
    error: to("error"),
    child: () => logger,
    isDebug: () => false,
  };
  const metrics = new Metrics({ member: "n1", version: "0" });
  const onFatal = (error: unknown): void => void fatal.push(error);
  return { events: new LogEvents({ id: "n1", logger, metrics, onFatal }), lines, fatal, metrics };
}

test("an election reads as a story, and repetitions are not told", () => {
  const { events, lines } = observed();
  events.raft({ kind: "leaderChanged", leader: "n2", term: 6 });
  events.raft({ kind: "leaderChanged", leader: "n2", term: 6 });
  events.raft({ kind: "leaderChanged", leader: null, term: 6 });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    events.raft({ kind: "roleChanged", role: "preCandidate", term: 6, reason: "silence" });
  }
  events.raft({ kind: "roleChanged", role: "candidate", term: 7, reason: "stream lost" });
  events.raft({ kind: "roleChanged", role: "leader", term: 7, reason: "2 of 3 votes" });
  events.raft({ kind: "leaderChanged", leader: "n1", term: 7 });
  expect(lines).toEqual([
    'info following n2 in term 6 {"leader":"n2","term":6}',
    'warn no leader {"term":6}',
    'info started an election {"term":7,"reason":"stream lost"}',
    'info became leader {"term":7,"reason":"2 of 3 votes"}',
  ]);
});

function expiry(revision: number): RegistryEvent {
  return {
    type: "delete",
    revision,
    reason: "expired",
    namespace: "default",
    service: "web",
    id: `a${revision}`,
  };
}

test("expired instances get a line each, up to a number, and are counted", async () => {
  const { events, lines, metrics } = observed();
  events.registryEvents([expiry(4), expiry(5)], false);
  events.registryEvents([{ ...expiry(6), reason: "deregistered" } as RegistryEvent], false);
  expect(lines).toEqual([
    'info instance expired {"namespace":"default","service":"web","id":"a4","revision":4}',
    'info instance expired {"namespace":"default","service":"web","id":"a5","revision":5}',
  ]);
  events.registryEvents(
    Array.from({ length: 21 }, (_, index) => expiry(index + 10)),
    false,
  );
  expect(lines.slice(2)).toEqual(['info instances expired {"instances":21,"services":["web"]}']);
  expect(await metrics.render()).toMatch(/rollcall_expirations_total\S* 23\n/);
});

test("what a member catches up with after its start is counted, and not told as news", async () => {
  const { events, lines, metrics } = observed();
  const service = { type: "service", namespace: "default", service: "web" } as const;
  events.registryEvents([expiry(4), { ...service, revision: 5, protected: true }], true);
  expect(lines).toEqual([]);
  expect(await metrics.render()).toMatch(/rollcall_expirations_total\S* 1\n/);
  events.registryEvents([{ ...service, revision: 6, protected: false }], false);
  expect(lines.map((line) => line.split(" {")[0])).toEqual(["info expiry protection ended"]);
});

test("a full disk is told once, and once more when it has space again", () => {
  const { events, lines } = observed();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    events.storageFailed("log", { kind: "full", message: "ENOSPC" });
  }
  events.persisted(1, 2);
  events.persisted(1, 2);
  expect(lines).toEqual([
    'warn disk is full: waiting for space {"part":"log","reason":"ENOSPC"}',
    'info disk can be written again {"part":"log"}',
  ]);
});

test("a slow disk is told when it becomes slow and when it is fast again", () => {
  const { events, lines } = observed();
  for (const ms of [5, 1_500, 2_000, 800, 3, 4]) events.persisted(1, ms);
  expect(lines).toEqual([
    'warn disk is slow: a log write took long {"durationMs":1500}',
    'info disk is fast again {"durationMs":3}',
  ]);
});

test("expiry protection is told when it begins and ends", () => {
  const { events, lines } = observed();
  const change = (revision: number, isProtected: boolean): RegistryEvent => ({
    type: "service",
    revision,
    namespace: "default",
    service: "web",
    protected: isProtected,
  });
  for (const event of [change(1, false), change(2, true), change(3, true), change(4, false)]) {
    events.registryEvents([event], false);
  }
  expect(lines.map((line) => line.split(" {")[0])).toEqual([
    "warn too many leases ran out at once: the rest stays listed as suspect",
    "info expiry protection ended",
  ]);
});

test("what cannot be gone on from ends the process", () => {
  const { events, lines, fatal } = observed();
  const error = new Error("invariant 3");
  events.fatal(error);
  expect(fatal).toEqual([error]);
  expect(lines[0]).toMatch(/^error cannot go on/);
});
