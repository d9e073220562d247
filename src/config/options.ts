/**
 * Every option of a member, once: what it is called, what it may be, what it is without being set, and what changing it costs. Flags,
 * environment variables, the config file, `--help`, the README's table and the `Config` type all come from here.
 *
 * Defaults of times and sizes repeat those of the parts that they go to; a test compares them.
 */

import {
  address,
  bytes,
  choice,
  count,
  memberList,
  memberName,
  milliseconds,
  optionalPath,
  optionalUrl,
  path,
  type Option,
} from "./option-kinds.ts";

export const options = {
  id: memberName(
    "This member's name, unique in the cluster. It is written into the data folder and cannot be changed afterwards.",
  ),
  data: path({
    fallback: "rollcall-data",
    help: "The folder that holds this member's log and state. One member, one folder: a folder in use, or of another member or cluster, is refused.",
  }),
  listen: address({
    fallback: { host: "127.0.0.1", port: 7401 },
    help: "Where clients are answered. Beyond 127.0.0.1 everybody who can reach the port can register and deregister.",
  }),
  peerListen: address({
    fallback: { host: "127.0.0.1", port: 7501 },
    help: "Where the other members are answered. Keep it away from clients: whoever can speak here, and knows the peer secret if there is one, is trusted.",
  }),
  advertise: optionalUrl(
    "The URL at which clients reach this member, as other members and tools are told. Without it: the host of --listen (where that is 0.0.0.0, the host of this member's peer URL), with the port of --listen. A member that is started with another one tells the cluster.",
  ),
  peerAdvertise: optionalUrl(
    "The URL at which the other members reach this one. Without it: this member's own entry in --members, else --peer-listen.",
  ),
  members: memberList(
    "The members that found the cluster together, the same list for each. The first one gives the cluster its identity, once all of them are reachable. After that the list is only a set of addresses: membership comes from the log.",
  ),
  join: optionalUrl(
    "The client URL of any member of a running cluster: this member, with an empty data folder, asks to be added as a learner. Give --members or --join, not both.",
  ),
  peerSecretFile: optionalPath(
    "A file with a secret that all members share (its first line). Members prove to each other that they know it; without it, anybody who reaches the peer port is taken for a member.",
  ),
  authTokensFile: optionalPath(
    'A JSON file with the tokens that clients must send as `Authorization: Bearer TOKEN`: {"tokens": [{"name": "ci", "sha256": "...", "rights": ["read", "write", "operate"], "namespace": "...", "servicePrefix": "..."}]}; the last two are optional and limit a token. It holds the tokens\' SHA-256, never the tokens. Without it, everybody who reaches --listen may do everything. The same on every member.',
  ),
  joinTokenFile: optionalPath(
    "A file with the token (its first line) that --join sends; it must have the rights to read and to operate. Needed only where the cluster asks for tokens.",
  ),
  tickMs: milliseconds({
    fallback: 50,
    min: 5,
    max: 1_000,
    help: "Length of one step of Raft's clock. The other two times of Raft are rounded up to whole ticks.",
  }),
  heartbeatMs: milliseconds({
    fallback: 100,
    min: 5,
    max: 10_000,
    help: "How often the leader says that it lives. Shorter finds a silent leader sooner and costs a message to each member each time.",
  }),
  electionMs: milliseconds({
    fallback: 1_000,
    min: 50,
    max: 60_000,
    help: "How long a silent leader is waited for: an election starts after one to two times this. A leader whose process dies is noticed at once, by its connections. Shorter than the longest pause of a process or a network, it causes elections for nothing.",
  }),
  electionGraceMs: milliseconds({
    fallback: 2_000,
    min: 0,
    max: 60_000,
    help: "How long a new leader holds the leases' clock still, so that clients find it before their leases run out. Leases of dead instances last longer by this after a failover.",
  }),
  shutdownMs: milliseconds({
    fallback: 9_000,
    min: 100,
    max: 60_000,
    help: "How long a graceful end (SIGTERM) may take before the process ends anyway. Container platforms kill after 10 s.",
  }),
  renewalWindowMs: milliseconds({
    fallback: 5,
    min: 0,
    max: 1_000,
    help: "How long renewals are collected before they go to the leader as one batch. Longer makes renewals cheaper, and each of them slower by as much.",
  }),
  flushIntervalMs: milliseconds({
    fallback: 200,
    min: 10,
    max: 60_000,
    help: "How often changes are written to the state image. Longer: fewer writes, and a longer replay of the log after a crash. Nothing is lost either way.",
  }),
  segmentBytes: bytes({
    fallback: 64 * 1024 * 1024,
    min: 64 * 1024,
    max: 1024 * 1024 * 1024,
    help: "Size at which the log begins a new file. Whole files are dropped when they are no longer needed, so smaller files give disk space back sooner.",
  }),
  retainEntries: count({
    fallback: 10_000,
    min: 0,
    max: 10_000_000,
    help: "Log entries kept for members that are behind although this one needs them no longer. Fewer: a member that was away is sent the whole state more often.",
  }),
  diskStallMs: milliseconds({
    fallback: 4_000,
    min: 100,
    max: 600_000,
    help: "A disk write older than this takes the member out of leading until it completes.",
  }),
  diskSlowMs: milliseconds({
    fallback: 100,
    min: 1,
    max: 600_000,
    help: "A leader whose disk writes take this long hands over to a member whose disk is at least four times faster, at most once a minute; sooner when that member did not take over.",
  }),
  diskSoftBytes: bytes({
    fallback: 128 * 1024 * 1024,
    min: 0,
    max: 512 * 1024 ** 4,
    help: "With less free room on the disk than this, what makes the registry grow is refused with 507; deregistrations and renewals go on.",
  }),
  diskReserveBytes: bytes({
    fallback: 64 * 1024 * 1024,
    min: 0,
    max: 1024 * 1024 * 1024 * 1024,
    help: "Room that is set aside in the data folder, and given back when the disk is full all the same. 0: none.",
  }),
  requestsMax: count({
    fallback: 10_000,
    min: 10,
    max: 1_000_000,
    help: "The most client requests under way at once; a fifth of the places is kept for renewals and deregistrations. Further ones are refused with 503 and Retry-After.",
  }),
  watchesMax: count({
    fallback: 20_000,
    min: 1,
    max: 1_000_000,
    help: "The most open watches and waiting reads at once. Each costs memory and a file descriptor.",
  }),
  pendingWritesMax: count({
    fallback: 20_000,
    min: 16,
    max: 1_000_000,
    help: "The most writes that wait in this member at once; further ones are refused with 503 and Retry-After.",
  }),
  logLevel: choice({
    of: ["debug", "info", "warn", "error"],
    fallback: "info",
    help: "The least important lines that are logged. debug has a line for every message between members and slows a busy member down.",
  }),
  logFormat: choice({
    of: ["auto", "json", "pretty"],
    fallback: "auto",
    help: "json: one object a line, for machines. pretty: for people. auto: pretty when standard output is a terminal.",
  }),
} as const satisfies Record<string, Option<unknown>>;

export type OptionName = keyof typeof options;

/** All options with their values, validated one by one and together. */
export type Config = {
  readonly [Name in OptionName]: (typeof options)[Name] extends Option<infer Value> ? Value : never;
};

export const optionNames = Object.keys(options) as OptionName[];

/** `electionMs` as `election-ms`, the flag without its dashes. */
export function flagOf(name: OptionName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `electionMs` as `ROLLCALL_ELECTION_MS`. */
export function variableOf(name: OptionName): string {
  return `ROLLCALL_${flagOf(name).replaceAll("-", "_").toUpperCase()}`;
}

export function defaultConfig(): Config {
  return Object.fromEntries(optionNames.map((name) => [name, options[name].fallback])) as Config;
}
