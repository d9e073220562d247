/** Commands about the cluster itself: who is in it, who leads, and changing both. */

import type { Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster, ClusterMember, Leadership } from "./cluster-shape.ts";
import { contextOf, type Context } from "./context.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import type { Column } from "./output.ts";

const memberColumns: readonly Column<ClusterMember>[] = [
  { title: "MEMBER", of: (member) => member.id },
  { title: "ROLE", of: (member) => member.role },
  { title: "VOTER", of: (member) => member.voter },
  { title: "REACHABLE", of: (member) => member.reachable },
  { title: "APPLIED", of: (member) => member.appliedIndex },
  { title: "CLIENTS", of: (member) => member.clientUrl },
  { title: "PEERS", of: (member) => member.peerUrl },
  { title: "VERSION", of: (member) => member.version },
];

export function addClusterCommands(program: Command): void {
  program
    .command("status")
    .description("the cluster on one screen")
    .action(async (_options: unknown, command: Command) => {
      const context = contextOf(command);
      const cluster = await context.api.get<Cluster>("/v1/cluster");
      context.done(statusInWords(cluster), cluster);
      if (!isJson(command)) context.rows(cluster.members, memberColumns, cluster);
    });
  program
    .command("members")
    .description("the members, as the leader sees them")
    .action(async (_options: unknown, command: Command) => {
      const context = contextOf(command);
      const { members } = await context.api.get<Cluster>("/v1/cluster");
      context.rows(members, memberColumns, members);
    });
  program
    .command("transfer [to]")
    .description("hands leadership to this member, or to the one that is most caught up")
    .action(async (to: string | undefined, _options: unknown, command: Command) => {
      const context = contextOf(command);
      const led = await context.api.post<Leadership>("/v1/cluster/leader", to === undefined ? {} : { to });
      context.done(`Leadership was handed over; ${led.leader} leads in term ${led.term}.`, led);
    });
  addMemberCommands(program.command("member").description("adds, promotes, removes or replaces a member"));
}

function addMemberCommands(member: Command): void {
  member
    .command("add <id>")
    .description("adds a learner: it receives everything and does not vote until it is promoted")
    .requiredOption("--peer-url <url>", "where the members reach it")
    .requiredOption("--client-url <url>", "where clients reach it")
    .action(async (id: string, urls: Urls, command: Command) => {
      const context = contextOf(command);
      await context.api.post("/v1/cluster/members", { id, ...urls });
      context.done(`${id} was added as a learner; rollcall member promote ${id} makes it a voter.`, {
        id,
        ...urls,
      });
    });
  member
    .command("promote <id>")
    .description("makes a learner a voter, once it has caught up")
    .action(async (id: string, _options: unknown, command: Command) => {
      const context = contextOf(command);
      const { members } = await context.api.get<Cluster>("/v1/cluster");
      // A voter would be a conflict, and conflicts are waited out.
      if (members.some((one) => one.id === id && one.voter))
        context.done(`${id} is a voter already.`, { id });
      else {
        await promote(context, id);
        context.done(`${id} is a voter now.`, { id });
      }
    });
  member
    .command("remove <id>")
    .description("removes a member from the cluster for good")
    .action(async (id: string, _options: unknown, command: Command) => {
      const context = contextOf(command);
      await context.api.delete(memberPath(id));
      context.done(`${id} was removed.`, { id });
    });
  member
    .command("replace <id>")
    .description("takes the wiped member of this name in the place of the one that lost its data")
    .option("--peer-url <url>", "where the members reach it, if that changed")
    .option("--client-url <url>", "where clients reach it, if that changed")
    .option("--force", "even if the member is reachable and well")
    .action(async (id: string, options: Partial<Urls> & { force?: true }, command: Command) => {
      await replace(contextOf(command), id, options);
    });
}

interface Urls {
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** Removes the old incarnation, adds the new one as a learner, and promotes it when it has caught up. Can be repeated after a failure. */
async function replace(
  context: Context,
  id: string,
  options: Partial<Urls> & { force?: true },
): Promise<void> {
  const { api } = context;
  const { members } = await api.get<Cluster>("/v1/cluster");
  const known = members.find((one) => one.id === id);
  const { peerUrl, clientUrl } = { ...known, ...options };
  if (peerUrl === undefined || clientUrl === undefined) {
    throw new CommandFailure(
      exitCodes.notFound,
      `The cluster has no member ${id}; give --peer-url and --client-url to add it.`,
    );
  }
  if (known?.reachable === true && known.voter && options.force !== true) {
    throw new CommandFailure(
      exitCodes.conflict,
      `${id} is reachable and a member in good standing; replacing it would make it start anew. --force does so.`,
    );
  }
  if (known !== undefined) await patiently(() => api.delete(memberPath(id)));
  await patiently(() => api.post("/v1/cluster/members", { id, peerUrl, clientUrl }));
  await promote(context, id);
  context.done(`${id} was replaced: it has caught up and votes again.`, { id, peerUrl, clientUrl });
}

/** How long one change may wait for what it needs: the change before it, or a learner that catches up. */
const patienceMs = 120_000;

function promote({ api }: Context, id: string): Promise<void> {
  return patiently(() => api.post(`${memberPath(id)}/promote`));
}

/** Tries again while the cluster says "not yet": another change is under way, a learner has not caught up, or there is no leader. */
async function patiently(change: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      await change();
      return;
    } catch (error) {
      const isEarly =
        error instanceof CommandFailure &&
        (error.exitCode === exitCodes.conflict || error.exitCode === exitCodes.unavailable);
      if (!isEarly || performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

function memberPath(id: string): string {
  return `/v1/cluster/members/${encodeURIComponent(id)}`;
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ output: string }>().output === "json";
}

function statusInWords(cluster: Cluster): string {
  const { members, leader, term, revision, failuresTolerated } = cluster;
  const leads = leader === null ? "no leader" : `${leader} leads in term ${term}`;
  const voters = members.filter((member) => member.voter).length;
  const lose = failuresInWords(leader, failuresTolerated);
  return `${voters} ${voters === 1 ? "voter" : "voters"}, ${leads}, revision ${revision}; ${lose}.`;
}

function failuresInWords(leader: string | null, tolerated: number): string {
  if (leader === null) return "no writes until a majority of the voters is up and has elected one";
  return tolerated === 0 ? "one failure stops writes" : `can lose ${tolerated} more and go on`;
}
