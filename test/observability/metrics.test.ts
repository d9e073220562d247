import { expect, test } from "vitest";
import { Metrics, type MemberSample } from "../../src/observability/metrics.ts";

const sample: MemberSample = {
  role: "leader",
  term: 7,
  hasLeader: true,
  commitIndex: 41,
  appliedIndex: 40,
  firstIndex: 1,
  lastIndex: 42,
  revision: 12,
  staleMs: 250,
  instances: { up: 3, down: 1 },
  services: 2,
  suspectInstances: 1,
  protectedServices: 1,
  waiting: { writes: 4, renewals: 9 },
  peers: [{ id: "n2", reachable: true, lagEntries: 5 }],
};

function metrics(): Metrics {
  return new Metrics({ member: "n1", version: "1.2.3" });
}

/** The value of the line that begins so, labels of the member left out. */
function valueIn(text: string, name: string): number | undefined {
  const line = text
    .split("\n")
    .map((one) => one.replace(/,?member="n1"/, "").replace("{}", ""))
    .find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

test("states are sampled when somebody asks", async () => {
  const measured = metrics();
  let now = sample;
  measured.sampleWith(() => now);
  const text = await measured.render();
  expect(valueIn(text, "rollcall_raft_term")).toBe(7);
  expect(valueIn(text, "rollcall_raft_has_leader")).toBe(1);
  expect(valueIn(text, 'rollcall_raft_role{role="leader"}')).toBe(1);
  expect(valueIn(text, 'rollcall_instances{status="up"}')).toBe(3);
  expect(valueIn(text, 'rollcall_peer_lag_entries{peer="n2"}')).toBe(5);
  expect(valueIn(text, "rollcall_stale_seconds")).toBe(0.25);
  expect(valueIn(text, 'rollcall_queue_length{queue="renewals"}')).toBe(9);

  now = { ...sample, role: "follower", peers: [] };
  const later = await measured.render();
  expect(valueIn(later, 'rollcall_raft_role{role="leader"}')).toBe(0);
  expect(valueIn(later, 'rollcall_raft_role{role="follower"}')).toBe(1);
  expect(valueIn(later, 'rollcall_peer_reachable{peer="n2"}')).toBeUndefined();
});

test("what has not happened yet is counted as 0", async () => {
  const text = await metrics().render();
  expect(valueIn(text, 'rollcall_raft_proposals_total{outcome="unknown"}')).toBe(0);
  expect(valueIn(text, 'rollcall_renewals_total{result="refused"}')).toBe(0);
  expect(valueIn(text, 'rollcall_snapshots_total{direction="installed"}')).toBe(0);
});

test("what happens is counted and measured", async () => {
  const measured = metrics();
  const route = "/v1/services/{service}/instances";
  measured.httpRequest({ route, method: "GET", status: 200, ms: 2 });
  measured.writeEnded("committed", 3);
  measured.writeEnded("unknown", 5000);
  measured.renewals("renewed", 10);
  measured.logWritten(4, 1);
  measured.expired();
  measured.watchOpened();
  const text = await measured.render();
  expect(text).toContain(`route="${route}",method="GET",status="200"`);
  expect(valueIn(text, 'rollcall_raft_proposals_total{outcome="unknown"}')).toBe(1);
  expect(valueIn(text, "rollcall_raft_commit_duration_seconds_count")).toBe(1);
  expect(valueIn(text, 'rollcall_renewals_total{result="renewed"}')).toBe(10);
  expect(valueIn(text, "rollcall_wal_entries_total")).toBe(4);
  expect(valueIn(text, "rollcall_expirations_total")).toBe(1);
  expect(valueIn(text, "rollcall_watchers")).toBe(1);
});

test("before a member runs, there are still process, event loop and build figures", async () => {
  const text = await metrics().render();
  expect(text).toContain("process_cpu_seconds_total");
  expect(text).toContain("nodejs_eventloop_lag_p99_seconds");
  expect(text).toContain('rollcall_build_info{version="1.2.3"');
});

test("every metric of ours has the prefix, base units and a sentence of help", async () => {
  const text = await metrics().render();
  const helps = text.split("\n").filter((line) => line.startsWith("# HELP rollcall_"));
  expect(helps.length).toBeGreaterThan(20);
  for (const help of helps) expect(help).toMatch(/\.$/);
  expect(text).not.toMatch(/^rollcall_\w*_(?:ms|millis|milliseconds)\b/m);
});
