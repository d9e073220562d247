/** The commands of `rollcall`, and how each end of one becomes an exit status. */

import { Command, CommanderError } from "commander";
import { StartError } from "../config/config-error.ts";
import { ownVersion } from "../config/version.ts";
import { addClusterCommands } from "./cluster-commands.ts";
import { addGlobalOptions } from "./context.ts";
import { addBackupCommand, addDisasterCommands } from "./disaster-commands.ts";
import { CommandFailure, exitCodes, exitCodesInWords } from "./exit-codes.ts";
import { addOfflineCommands } from "./offline-commands.ts";
import { addRegistryCommands } from "./registry-commands.ts";
import { addServeCommand } from "./serve.ts";
import { addWaitCommands } from "./wait-commands.ts";

export function buildProgram(): Command {
  const program = new Command("rollcall")
    .description("A Raft-replicated service registry: ask any member who is alive.")
    .version(ownVersion(), "-V, --version", "prints the version")
    .addHelpText("after", `\n${exitCodesInWords}`)
    .helpCommand(false)
    .exitOverride();
  addGlobalOptions(program);
  program.commandsGroup("Run:");
  addServeCommand(program);
  program.commandsGroup("Services:");
  addRegistryCommands(program);
  program.commandsGroup("The cluster:");
  addClusterCommands(program);
  addWaitCommands(program);
  addBackupCommand(program);
  program.commandsGroup("Without a cluster:");
  addOfflineCommands(program);
  addDisasterCommands(program);
  return program;
}

/** The exit status. Never rejects for what a person can mend. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // commander has said it already; help that was asked for is no failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (error instanceof CommandFailure) return complain(error.message, error.exitCode);
    if (error instanceof StartError) return complain(error.message, exitCodes.failed);
    throw error;
  }
}

function complain(message: string, exitCode: number): number {
  console.error(`rollcall: ${message}`);
  return exitCode;
}
