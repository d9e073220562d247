/** What options must keep among each other, in sentences. What each must keep by itself stands in the options table. */

import type { Config } from "./options.ts";

export function conflicts(config: Config): readonly string[] {
  return [...timing(config), ...membership(config)];
}

function timing({ tickMs, heartbeatMs, electionMs, diskStallMs }: Config): readonly string[] {
  const problems: string[] = [];
  if (heartbeatMs < tickMs) {
    problems.push(
      `--heartbeat-ms (${heartbeatMs}) must not be less than --tick-ms (${tickMs}): nothing happens between ticks.`,
    );
  }
  if (electionMs < 3 * heartbeatMs) {
    problems.push(
      `--election-ms (${electionMs}) must be at least three times --heartbeat-ms (${heartbeatMs}), or a lost heartbeat starts an election.`,
    );
  }
  if (diskStallMs < electionMs) {
    problems.push(
      `--disk-stall-ms (${diskStallMs}) must not be less than --election-ms (${electionMs}): a slow disk write is no reason to vote sooner than silence is.`,
    );
  }
  return problems;
}

function membership({ id, members, join, peerAdvertise, peerListen }: Config): readonly string[] {
  const problems: string[] = [];
  if (id === null) return ["--id is missing: every member needs a name, such as --id n1."];
  const own = members.find((one) => one.id === id);
  if (members.length > 0 && own === undefined) {
    problems.push(
      `--members names ${members.map((one) => one.id).join(", ")}, but not this member (--id ${id}); the list is the same for every member.`,
    );
  }
  if (members.length > 0 && join !== null) {
    problems.push("Give --members (to found a cluster) or --join (to be added to one), not both.");
  }
  if (own === undefined && peerAdvertise === null && isWildcard(peerListen.host)) {
    problems.push(
      `--peer-listen is ${peerListen.host}, which is no address to reach this member at: give --peer-advertise URL.`,
    );
  }
  return problems;
}

/** Whether the address means "all of this machine's" rather than one that others can use. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
