/** Commands for scripts and health checks: wait until something holds, or say whether it does. */

import { Argument, type Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { wholeNumber } from "./arguments.ts";
import type { Cluster } from "./cluster-shape.ts";
import { contextOf, type Context } from "./context.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";

type Condition = "ready" | "leader";

export function addWaitCommands(program: Command): void {
  program
    .command("wait")
    .description("waits until the member is ready, or until it knows a leader")
    .addArgument(new Argument("<condition>").choices(["ready", "leader"]))
    .option("--for <ms>", "how long to wait", wholeNumber, 60_000)
    .action(async (condition: Condition, options: { for: number }, command: Command) => {
      await waitFor(contextOf(command), condition, options.for);
    });
  program
    .command("check")
    .description("says whether the member is ready: exit status 0 or 1, for health checks")
    .addArgument(new Argument("<condition>").choices(["ready", "leader"]))
    .action(async (condition: Condition, _options: unknown, command: Command) => {
      const context = contextOf(command);
      const state = await stateOf(context, condition);
      if (!state.holds) throw new CommandFailure(exitCodes.failed, state.words);
      context.done(state.words, { ok: true });
    });
}

interface State {
  readonly holds: boolean;
  readonly words: string;
}

async function waitFor(context: Context, condition: Condition, ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  for (;;) {
    const state = await stateOf(context, condition);
    if (state.holds) return context.done(state.words, { ok: true });
    if (performance.now() >= deadline) {
      throw new CommandFailure(exitCodes.unavailable, `Not ${condition} after ${ms} ms. ${state.words}`);
    }
    await sleep(100);
  }
}

/** Holds when any of the given members says so. */
async function stateOf({ api, servers }: Context, condition: Condition): Promise<State> {
  const words: string[] = [];
  for (const server of servers) {
    const answer = await api.probe(server, condition === "ready" ? "/readyz" : "/v1/cluster");
    if (answer === null) words.push(`${server} does not answer.`);
    else if (condition === "leader" && answer.status === 200) {
      const { leader } = answer.body as Cluster;
      if (leader !== null && leader !== "") return { holds: true, words: `${leader} leads.` };
      words.push(`${server} knows no leader.`);
    } else if (condition === "ready" && answer.status === 200) {
      return { holds: true, words: `${server} is ready.` };
    } else words.push(`${server} is not ready:\n${String(answer.body).trim()}`);
  }
  return { holds: false, words: words.join("\n") };
}
