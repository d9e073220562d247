/**
 * The composition root: builds one member out of its parts, starts them in order, and stops them in the reverse. The only place that reads
 * the environment.
 */

import { randomUUID } from "node:crypto";
import { advertisedUrls, type Urls } from "./config/addresses.ts";
import { StartError } from "./config/config-error.ts";
import type { Address } from "./config/option-kinds.ts";
import type { Config, OptionName } from "./config/options.ts";
import { readConfig } from "./config/read-config.ts";
import { readConfigFile, readSecret, readTokensFile } from "./config/read-file.ts";
import { folderRefusal, portRefusal } from "./config/start-refusals.ts";
import { ownVersion } from "./config/version.ts";
import { defaultAdmissionLimits } from "./http/admission.ts";
import type { HttpServer } from "./http/http-server.ts";
import { createLogger, type Logger } from "./observability/logger.ts";
import type { Metrics } from "./observability/metrics.ts";
import { monitorStalls } from "./observability/stall-monitor.ts";
import { AfterStart } from "./replica/after-start.ts";
import { Bootstrap, type BootstrapState } from "./replica/bootstrap.ts";
import { foreignCluster } from "./replica/foreign-cluster.ts";
import { JoinClient } from "./replica/join-client.ts";
import { loadRegistry } from "./replica/load-registry.ts";
import { LogEvents } from "./replica/log-events.ts";
import { sampleOf } from "./replica/member-sample.ts";
import { every, nodeClock, nodeScheduler } from "./replica/node-runtime.ts";
import { OwnAddresses } from "./replica/own-addresses.ts";
import { PromisedMember } from "./replica/promised-member.ts";
import { Replica } from "./replica/replica.ts";
import { defaultReplicaSettings, type ReplicaSettings } from "./replica/settings.ts";
import { stopOnSignals } from "./replica/stop-on-signals.ts";
import { NodeDiskRoom } from "./storage/disk-room.ts";
import { openMemberStorage, type OpenedStorage } from "./storage/open-member.ts";
import { StorageRefusal } from "./storage/refusal.ts";
import type { HttpPeerNetwork } from "./transport/http-peer-network.ts";

/** A member whose ports are open. It may still be waiting for its cluster. */
export interface RunningMember {
  readonly urls: Urls;
  /** Ends it gracefully: hands over leadership, finishes requests, makes everything durable. May be called more than once. */
  stop(): Promise<void>;
  /** Resolves when it has been stopped; rejects when it could not go on. */
  readonly ended: Promise<void>;
}

interface Parts {
  readonly config: Config & { readonly id: string };
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly storage: OpenedStorage;
  readonly network: HttpPeerNetwork;
  readonly http: HttpServer;
  readonly version: string;
}

/** `rollcall serve`: runs one member until it is told to stop. Rejects with a StartError, a sentence for the operator. */
export async function serveMember(given: {
  readonly flags: Readonly<Partial<Record<OptionName, string>>>;
  readonly configPath: string | null;
}): Promise<void> {
  // Everything that this process creates is its user's only.
  process.umask(0o077);
  const file = given.configPath === null ? null : readConfigFile(given.configPath);
  const config = readConfig({ flags: given.flags, env: process.env, file });
  const fields = { member: config.id };
  const logger = createLogger({ level: config.logLevel, format: config.logFormat, fields });
  try {
    process.on("uncaughtExceptionMonitor", (error) => {
      logger.error({ err: error }, "ended by a defect");
      logger.flush();
    });
    const starting = startMember(config, logger);
    stopOnSignals(starting, config.shutdownMs, logger);
    const member = await starting;
    await member.ended;
  } finally {
    logger.flush();
  }
}

/** Opens the data folder and the ports, and sets the member going. Rejects with a StartError when one of them cannot be had. */
export async function startMember(given: Config, logger: Logger): Promise<RunningMember> {
  const { id } = given;
  if (id === null) throw new StartError("--id is missing.");
  const config = { ...given, id };
  const secret = config.peerSecretFile === null ? null : readSecret(config.peerSecretFile);
  const tokens = config.authTokensFile === null ? null : readTokensFile(config.authTokensFile);
  const storage = await openStorage(config, () => void loadParts());
  try {
    mustHaveCluster(config, storage);
    const version = ownVersion();
    const { createHttpServer, Metrics, HttpPeerNetwork } = await loadParts();
    const metrics = new Metrics({ member: id, version });
    const network = new HttpPeerNetwork({
      self: { id, incarnation: storage.identity.incarnation, version },
      clusterId: storage.identity.clusterId,
      listen: config.peerListen,
      peers: config.members,
      secret,
      logger: logger.child({ component: "transport" }),
    });
    const http = createHttpServer({
      listen: config.listen,
      logger: logger.child({ component: "http" }),
      metrics,
      memberId: id,
      tokens,
      watchLimits: { streamsMax: config.watchesMax },
      admissionLimits: {
        ...defaultAdmissionLimits,
        requestsMax: config.requestsMax,
        reserved: Math.floor(config.requestsMax / 5),
      },
    });
    return await MemberLife.begin({ config, logger, metrics, storage, network, http, version });
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** What talks to clients, peers and operators is most of the program, and the data folder can be read before it is there. */
async function loadParts() {
  const [{ createHttpServer }, { Metrics }, { HttpPeerNetwork }] = await Promise.all([
    import("./http/http-server.ts"),
    import("./observability/metrics.ts"),
    import("./transport/http-peer-network.ts"),
  ]);
  return { createHttpServer, Metrics, HttpPeerNetwork };
}

const cannotGoOn = "This member could not go on; its log says why.";

/** One member from its open ports to its end. */
class MemberLife implements RunningMember {
  readonly urls: Urls;
  readonly ended: Promise<void>;
  readonly #parts: Parts;
  readonly #bootstrap: Bootstrap;
  readonly #end = Promise.withResolvers<void>();
  readonly #stopStallMonitor: () => void;
  #replica: Replica | null = null;
  #stopTicks: () => void = () => {};
  #stopping: Promise<void> | null = null;
  /** Finding or founding the cluster; never rejects. */
  #entering: Promise<void> = Promise.resolve();

  private constructor(parts: Parts, urls: Urls, bootstrap: Bootstrap) {
    this.#parts = parts;
    this.urls = urls;
    this.#bootstrap = bootstrap;
    this.ended = this.#end.promise;
    this.#stopStallMonitor = monitorStalls(parts.logger);
  }

  /** Opens the ports; what follows (finding or founding the cluster) goes on by itself. */
  static async begin(parts: Parts): Promise<MemberLife> {
    const { config, http, network, storage, logger } = parts;
    let life: MemberLife | null = null;
    const begun = (): MemberLife => {
      if (life === null) throw new Error("a request came before the ports were open");
      return life;
    };
    const client = await open("listen", config.listen, () => http.start());
    const peer = await open("peerListen", config.peerListen, () =>
      network.listen({
        identity: () => begun().#bootstrap.identity(),
        promise: (question) => begun().#bootstrap.promise(question),
      }),
    ).catch(async (error: unknown) => {
      await http.stop(0);
      throw error;
    });
    const urls = advertisedUrls(config, { client: client.port, peer: peer.port });
    const join = config.join === null ? null : new JoinClient(config.join, joinToken(config));
    const self = { id: config.id, ...urls };
    const bootstrap = new Bootstrap({
      memberId: config.id,
      ...urls,
      list: config.members,
      findPeers: () => join?.members() ?? Promise.resolve([]),
      askToBeAdded: async () => {
        await join?.add(self);
        return null;
      },
      store: storage,
      client: network.bootstrap,
      scheduler: nodeScheduler,
      drawClusterId: randomUUID,
      onState: (state) => begun().#tellWaiting(state),
      membership: () => begun().#membership(),
    });
    life = new MemberLife(parts, urls, bootstrap);
    const { incarnation, clusterId } = storage.identity;
    logger.info({ ...urls, version: parts.version, pid: process.pid, incarnation, clusterId }, "started");
    logRecovery(storage, logger);
    life.#run();
    return life;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop().then(this.#end.resolve, this.#end.reject);
    return this.#stopping;
  }

  #run(): void {
    this.#entering = this.#enterCluster().catch((error: unknown) => {
      if (error instanceof StartError) return this.#end.reject(error);
      this.#parts.logger.error({ err: error }, "could not enter the cluster");
      this.#end.reject(new StartError(cannotGoOn));
    });
  }

  async #enterCluster(): Promise<void> {
    const { storage, logger } = this.#parts;
    const isNew = storage.identity.clusterId === null;
    if (isNew) await this.#bootstrap.run();
    else await this.#mustBeSameCluster();
    if (this.#stopping !== null) return;
    const { clusterId } = storage.identity;
    if (isNew) logger.info({ clusterId }, "belongs to a cluster from now on");
    await this.#takePart({ isNew });
  }

  /** Builds the replica over what storage has recovered, and connects it with its ports. */
  async #takePart({ isNew }: { readonly isNew: boolean }): Promise<void> {
    const { config, logger, metrics, storage, network, http, version } = this.#parts;
    const { identity, log, state, recovered, codec, report } = storage;
    if (identity.clusterId === null || log === null || state === null || recovered === null) {
      throw new Error("a member of a cluster has a log and a state image");
    }
    const startedMs = nodeClock.monotonicMs();
    const settings = settingsOf(config);
    const registry = await loadRegistry(recovered.image, settings.loadStepsPerTurn);
    if (this.#stopping !== null) return;
    const observer = new LogEvents({
      id: config.id,
      logger: logger.child({ component: "raft" }),
      metrics,
      onFatal: () => this.#end.reject(new StartError(cannotGoOn)),
    });
    const ports = {
      log,
      state,
      codec,
      peers: network,
      clock: nodeClock,
      scheduler: nodeScheduler,
      random: Math.random,
      room: new NodeDiskRoom(config.data, config.diskReserveBytes),
    };
    const { clusterId, incarnation } = identity;
    const { id } = config;
    const replica = new Replica(
      { id, clusterId, incarnation, version, recovered, ports, settings, observer },
      registry,
    );
    if (!isNew) logRecovered(replica, report.tookMs + nodeClock.monotonicMs() - startedMs, logger);
    storage.forgetRecovered();
    this.#replica = replica;
    metrics.sampleWith(() => sampleOf(replica));
    http.setMember(new PromisedMember(replica, (peer) => this.#identify(peer)));
    network.start(clusterId, replica);
    replica.start();
    const self = { id: config.id, incarnation, ...this.urls };
    const announced = (): void => logger.info({ ...this.urls }, "the cluster knows where this member is now");
    const addresses = new OwnAddresses({ self, replica, settings, scheduler: nodeScheduler, announced });
    const afterStart = isNew ? null : new AfterStart(replica);
    const tick = (): void => {
      replica.tick();
      addresses.tick();
      afterStart?.tick();
    };
    // At once, because a member that is the only voter stands for election with its first one.
    tick();
    this.#stopTicks = every(config.tickMs, tick);
  }

  #membership(): ReturnType<ConstructorParameters<typeof Bootstrap>[0]["membership"]> {
    if (this.#replica === null) return null;
    const { membership, membershipIndex } = this.#replica.status;
    return membershipIndex === 0 ? null : { membership, index: membershipIndex };
  }

  #tellWaiting({ kind, why, serverUrl }: BootstrapState): void {
    const { logger, http, config } = this.#parts;
    const { peerUrl, clientUrl } = this.urls;
    const server = serverUrl === null ? "" : ` --server ${serverUrl}`;
    const command = {
      waiting: null,
      wiped: `rollcall member replace ${config.id}${server}`,
      notMember: `rollcall member add ${config.id} --peer-url ${peerUrl} --client-url ${clientUrl}${server}`,
    }[kind];
    const isHelped = kind === "notMember" && config.join !== null;
    http.setWaiting([
      why,
      ...(command === null || isHelped ? [] : [`to take it into the cluster: ${command}`]),
    ]);
    if (kind === "waiting") logger.info({}, why);
    else logger.warn(isHelped ? {} : { command }, why);
  }

  async #identify(peer: { readonly id: string; readonly peerUrl: string }): Promise<string> {
    const outcome = await this.#parts.network.bootstrap.identity(peer);
    if (outcome.kind === "answer") return outcome.answer.incarnation;
    throw new Error(outcome.reason);
  }

  async #mustBeSameCluster(): Promise<void> {
    const { config, storage, network } = this.#parts;
    const { clusterId } = storage.identity;
    const others = config.members.filter((member) => member.id !== config.id);
    const foreign = await foreignCluster(clusterId ?? "", {
      others,
      client: network.bootstrap,
      scheduler: nodeScheduler,
    });
    if (foreign === null) return;
    throw new StartError(
      `The data folder ${config.data} belongs to cluster ${clusterId}, but the members listed with --members to cluster ${foreign}: correct one of the two.`,
    );
  }

  async #stop(): Promise<void> {
    const { config, logger, http, network, storage } = this.#parts;
    const replica = this.#replica;
    const startedMs = nodeClock.monotonicMs();
    this.#bootstrap.stop();
    // Leadership first, so that no request waits for an election; then the requests, the peers, and the disk last.
    http.setStopping();
    if (replica !== null) await new Promise<void>((resolve) => replica.handOver(resolve));
    await http.stop(config.shutdownMs / 2);
    if (replica !== null) await new Promise<void>((resolve) => replica.stop(resolve));
    this.#stopTicks();
    await network.stop();
    // A first start that is under way may still be writing.
    await this.#entering;
    await storage.close();
    this.#stopStallMonitor();
    logger.info({ tookMs: Math.round(nodeClock.monotonicMs() - startedMs) }, "stopped");
  }
}

async function open<T>(
  option: "listen" | "peerListen",
  address: Address,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    throw portRefusal(option, address, error as NodeJS.ErrnoException);
  }
}

function joinToken({ joinTokenFile }: Config): string | null {
  return joinTokenFile === null ? null : readSecret(joinTokenFile, "token file");
}

async function openStorage(
  config: Config & { readonly id: string },
  whileReading: () => void,
): Promise<OpenedStorage> {
  try {
    const limits = { segmentBytesMax: config.segmentBytes };
    return await openMemberStorage({ dir: config.data, memberId: config.id, limits, whileReading });
  } catch (error) {
    if (error instanceof StorageRefusal) throw new StartError(asSentence(error.message), { cause: error });
    throw folderRefusal(config.data, error as NodeJS.ErrnoException) ?? error;
  }
}

function mustHaveCluster(config: Config, storage: OpenedStorage): void {
  if (storage.identity.clusterId !== null || config.members.length > 0 || config.join !== null) return;
  throw new StartError(
    `The data folder ${config.data} is new: give --members to found a cluster, or --join to be added to one.`,
  );
}

function logRecovery({ report }: OpenedStorage, logger: Logger): void {
  if (report.identityRestored)
    logger.warn({}, "identity.json was lost, and has been restored from the other files");
  if (report.tornBytes > 0) {
    logger.info(
      { bytes: report.tornBytes },
      "cut the last write off the log: it was never finished, nor acknowledged",
    );
  }
  for (const damage of report.damage) logger.error({ damage }, "the data folder is damaged");
  if (report.recovering !== null) {
    const message =
      "acknowledged entries may be lost here: does not vote until the others have brought them back";
    logger.error({ reason: report.recovering }, message);
  }
}

function logRecovered(replica: Replica, tookMs: number, logger: Logger): void {
  const { lastIndex, appliedIndex } = replica.status;
  const instances = replica.registry.instanceCount;
  const number = (value: number): string => value.toLocaleString("en-US");
  const text = `recovered ${number(instances)} instances to index ${number(appliedIndex)}, and the log to ${number(lastIndex)}, in ${(tookMs / 1000).toFixed(2)} s`;
  logger.info({ instances, appliedIndex, lastIndex, tookMs: Math.round(tookMs) }, text);
}

function settingsOf(config: Config): ReplicaSettings {
  const { tickMs } = config;
  return {
    ...defaultReplicaSettings,
    raft: {
      ...defaultReplicaSettings.raft,
      tickMs,
      heartbeatTicks: Math.ceil(config.heartbeatMs / tickMs),
      electionTicks: Math.ceil(config.electionMs / tickMs),
      electionGraceMs: config.electionGraceMs,
    },
    renewalWindowMs: config.renewalWindowMs,
    flushIntervalMs: config.flushIntervalMs,
    retainEntries: config.retainEntries,
    diskStallMs: config.diskStallMs,
    diskSlowMs: config.diskSlowMs,
    diskSoftBytes: config.diskSoftBytes,
    diskReserveBytes: config.diskReserveBytes,
    pendingWritesMax: config.pendingWritesMax,
  };
}

function asSentence(text: string): string {
  const ended = text.endsWith(".") ? text : `${text}.`;
  return ended.charAt(0).toUpperCase() + ended.slice(1);
}
