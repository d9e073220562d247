/**
 * Everything that a member counts and measures, in Prometheus' form. One method for each thing that happens; what is a state rather than an
 * event is sampled when somebody asks (`MemberSample`). Labels take values from small closed sets only: never a path, a service or an id.
 */

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "@prometheus-io/client";

/** How a member stands when it is asked. */
export interface MemberSample {
  readonly role: string;
  readonly term: number;
  readonly hasLeader: boolean;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly revision: number;
  readonly staleMs: number;
  readonly instances: Readonly<Record<string, number>>;
  readonly services: number;
  readonly suspectInstances: number;
  readonly protectedServices: number;
  /** How many wait in each of the member's queues. */
  readonly waiting: Readonly<Record<string, number>>;
  readonly peers: readonly {
    readonly id: string;
    readonly reachable: boolean;
    readonly lagEntries: number | null;
  }[];
}

/** How the client-facing server stands when it is asked. */
export interface ServerSample {
  readonly underWay: number;
  readonly pressure: number;
  readonly loopDelayMs: number;
  readonly connections: number;
  readonly unread: number;
  readonly presences: number;
}

const roles = ["follower", "preCandidate", "candidate", "leader"];

/** 0.1 ms to 10 s: from an fsync on a good disk to a request that waited for an election. */
const secondsBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

export class Metrics {
  readonly #registry = new Registry();
  #sample: (() => MemberSample) | null = null;
  #serverSample: (() => ServerSample) | null = null;

  readonly #httpRequests = this.#histogram(
    "rollcall_http_request_duration_seconds",
    "Requests of clients, by route template, method and status.",
    ["route", "method", "status"],
  );
  readonly #rejected = this.#counter(
    "rollcall_http_rejected_total",
    "Requests that were turned away before they were read, because there was too much to do, by load class.",
    ["class"],
  );
  readonly #underWay = this.#gauge("rollcall_http_requests_under_way", "Requests being worked on.");
  readonly #pressure = this.#gauge(
    "rollcall_http_pressure",
    "0: everything is served; above 0.5 lists are turned away in part, above 1 reads too, above 1.5 registrations too; 3: all of these.",
  );
  readonly #loopDelay = this.#gauge(
    "rollcall_event_loop_delay_seconds",
    "How late the event loop was lately by its own work.",
  );
  readonly #connections = this.#gauge("rollcall_http_connections", "Open connections of clients.");
  readonly #connectionsUnread = this.#gauge(
    "rollcall_http_connections_unread",
    "Connections that are left unread for a while, because what came by them was turned away.",
  );
  readonly #connectionsRefused = this.#counter(
    "rollcall_http_connections_refused_total",
    "Connections that were closed at once, because there were too many.",
  );
  readonly #presences = this.#gauge("rollcall_presence_connections", "Open presence connections.");
  readonly #watchers = this.#gauge("rollcall_watchers", "Open watches.");
  readonly #deliveries = this.#histogram(
    "rollcall_watch_delivery_delay_seconds",
    "From applying a change until it was handed to every watch that is live.",
  );
  readonly #elections = this.#counter("rollcall_raft_elections_total", "Elections that this member started.");
  readonly #leaderChanges = this.#counter(
    "rollcall_raft_leader_changes_total",
    "Times that this member heard of a new leader.",
  );
  readonly #proposals = this.#counter(
    "rollcall_raft_proposals_total",
    "Writes that clients brought to this member, by how they ended.",
    ["outcome"],
  );
  readonly #commits = this.#histogram(
    "rollcall_raft_commit_duration_seconds",
    "From taking a client's write until this member had applied it.",
  );
  readonly #fsyncs = this.#histogram(
    "rollcall_wal_fsync_duration_seconds",
    "Writing one group to the log and making it durable.",
  );
  readonly #entries = this.#counter("rollcall_wal_entries_total", "Log entries made durable here.");
  readonly #imageWrites = this.#histogram(
    "rollcall_state_write_duration_seconds",
    "Writing one batch to the state image.",
    ["synced"],
  );
  readonly #renewals = this.#counter(
    "rollcall_renewals_total",
    "Renewals that clients brought here, by result.",
    ["result"],
  );
  readonly #expiries = this.#counter("rollcall_expirations_total", "Instances whose lease ran out.");
  readonly #changes = this.#counter("rollcall_changes_total", "Visible changes of the registry, by kind.", [
    "kind",
  ]);
  readonly #snapshots = this.#counter("rollcall_snapshots_total", "Snapshots that were sent or installed.", [
    "direction",
  ]);
  readonly #storageFailures = this.#counter(
    "rollcall_storage_failures_total",
    "Failed disk operations, by part and kind.",
    ["part", "kind"],
  );

  readonly #singles = this.#singleGauges();
  readonly #role = this.#gauge("rollcall_raft_role", "1 for the role that this member has.", ["role"]);
  readonly #instances = this.#gauge("rollcall_instances", "Registered instances, by status.", ["status"]);
  readonly #waiting = this.#gauge(
    "rollcall_queue_length",
    "What this member has taken and not answered yet, by queue.",
    ["queue"],
  );
  readonly #peerReachable = this.#gauge("rollcall_peer_reachable", "Whether this leader hears the member.", [
    "peer",
  ]);
  readonly #peerLag = this.#gauge(
    "rollcall_peer_lag_entries",
    "Entries that the member lacks, as this leader sees it.",
    ["peer"],
  );

  constructor(build: { readonly member: string; readonly version: string }) {
    this.#registry.setDefaultLabels({ member: build.member });
    // What has not happened yet is 0, not absent: a rate over a counter that begins at 1 misses the first.
    for (const outcome of ["committed", "rejected", "failed", "unknown"]) this.#proposals.inc({ outcome }, 0);
    for (const result of ["renewed", "refused"]) this.#renewals.inc({ result }, 0);
    for (const kind of ["put", "delete", "service"]) this.#changes.inc({ kind }, 0);
    for (const direction of ["sent", "installed"]) this.#snapshots.inc({ direction }, 0);
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge("rollcall_build_info", "1; the version is a label.", ["version", "node"]).set(
      { version: build.version, node: process.version },
      1,
    );
  }

  /** From now on, answers include the state of this member. */
  sampleWith(sample: () => MemberSample): void {
    this.#sample = sample;
  }

  /** `route` is the template, such as /v1/services/{service}/instances; "other" for paths that none matches. */
  httpRequest(request: {
    readonly route: string;
    readonly method: string;
    readonly status: number;
    readonly ms: number;
  }): void {
    const { route, method, status, ms } = request;
    this.#httpRequests.observe({ route, method, status }, ms / 1000);
  }

  /** From now on, answers include the state of the client-facing server. */
  sampleServerWith(sample: () => ServerSample): void {
    this.#serverSample = sample;
  }

  rejected(loadClass: string, number = 1): void {
    this.#rejected.inc({ class: loadClass }, number);
  }

  connectionRefused(): void {
    this.#connectionsRefused.inc();
  }

  changesDelivered(ms: number): void {
    this.#deliveries.observe(ms / 1000);
  }

  watchOpened(): void {
    this.#watchers.inc();
  }

  watchClosed(): void {
    this.#watchers.dec();
  }

  electionStarted(): void {
    this.#elections.inc();
  }

  leaderChanged(): void {
    this.#leaderChanges.inc();
  }

  writeEnded(outcome: string, ms: number): void {
    this.#proposals.inc({ outcome });
    if (outcome === "committed") this.#commits.observe(ms / 1000);
  }

  renewals(result: "renewed" | "refused", number: number): void {
    this.#renewals.inc({ result }, number);
  }

  logWritten(entries: number, ms: number): void {
    this.#fsyncs.observe(ms / 1000);
    this.#entries.inc(entries);
  }

  imageWritten(synced: boolean, ms: number): void {
    this.#imageWrites.observe({ synced: String(synced) }, ms / 1000);
  }

  registryChanged(kind: "put" | "delete" | "service"): void {
    this.#changes.inc({ kind });
  }

  expired(): void {
    this.#expiries.inc();
  }

  snapshot(direction: "sent" | "installed"): void {
    this.#snapshots.inc({ direction });
  }

  storageFailed(part: string, kind: string): void {
    this.#storageFailures.inc({ part, kind });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that `/metrics` answers. */
  render(): Promise<string> {
    this.#takeServerSample();
    this.#takeSample();
    return this.#registry.metrics();
  }

  #counter<T extends string = never>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge<T extends string = never>(name: string, help: string, labelNames: readonly T[] = []): Gauge<T> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  #histogram<T extends string = never>(
    name: string,
    help: string,
    labelNames: readonly T[] = [],
  ): Histogram<T> {
    return new Histogram({ name, help, labelNames, buckets: secondsBuckets, registers: [this.#registry] });
  }

  #takeServerSample(): void {
    const sample = this.#serverSample?.();
    if (sample === undefined) return;
    this.#underWay.set(sample.underWay);
    this.#pressure.set(sample.pressure);
    this.#loopDelay.set(sample.loopDelayMs / 1000);
    this.#connections.set(sample.connections);
    this.#connectionsUnread.set(sample.unread);
    this.#presences.set(sample.presences);
  }

  /** Sets all gauges of states from one sample. */
  #takeSample(): void {
    const sample = this.#sample?.();
    if (sample === undefined) return;
    for (const [gauge, read] of this.#singles) gauge.set(read(sample));
    for (const role of roles) this.#role.set({ role }, role === sample.role ? 1 : 0);
    for (const [status, number] of Object.entries(sample.instances)) this.#instances.set({ status }, number);
    for (const [queue, number] of Object.entries(sample.waiting)) this.#waiting.set({ queue }, number);
    // Members come and go, and only a leader has rows.
    this.#peerReachable.reset();
    this.#peerLag.reset();
    for (const peer of sample.peers) {
      this.#peerReachable.set({ peer: peer.id }, peer.reachable ? 1 : 0);
      if (peer.lagEntries !== null) this.#peerLag.set({ peer: peer.id }, peer.lagEntries);
    }
  }

  #singleGauges(): readonly (readonly [Gauge, (sample: MemberSample) => number])[] {
    return [
      [this.#gauge("rollcall_raft_term", "Raft term."), (sample) => sample.term],
      [
        this.#gauge("rollcall_raft_has_leader", "1 while this member knows a leader."),
        (sample) => Number(sample.hasLeader),
      ],
      [this.#gauge("rollcall_raft_commit_index", "Raft commit index."), (sample) => sample.commitIndex],
      [this.#gauge("rollcall_raft_applied_index", "Applied log index."), (sample) => sample.appliedIndex],
      [
        this.#gauge("rollcall_raft_first_index", "First entry kept in the log."),
        (sample) => sample.firstIndex,
      ],
      [this.#gauge("rollcall_raft_last_index", "Last entry of the log."), (sample) => sample.lastIndex],
      [this.#gauge("rollcall_revision", "Registry-wide revision."), (sample) => sample.revision],
      [
        this.#gauge(
          "rollcall_stale_seconds",
          "Upper bound of how far behind the cluster this member may be.",
        ),
        (sample) => sample.staleMs / 1000,
      ],
      [
        this.#gauge("rollcall_instances_suspect", "Instances that are overdue, and held."),
        (sample) => sample.suspectInstances,
      ],
      [
        this.#gauge(
          "rollcall_services_protected",
          "Services whose overdue instances are held by mass-expiry protection.",
        ),
        (sample) => sample.protectedServices,
      ],
      [this.#gauge("rollcall_services", "Services with at least one instance."), (sample) => sample.services],
    ];
  }
}
