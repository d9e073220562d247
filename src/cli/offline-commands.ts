/** Commands that need no running member. */

import { existsSync, statSync } from "node:fs";
import type { Command } from "commander";
import { flagOf, optionNames, options, variableOf } from "../config/options.ts";
import { optionInWords, optionsAsMarkdown } from "../config/render-options.ts";
import { wholeNumber } from "./arguments.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import { asJson } from "./output.ts";

export function addOfflineCommands(program: Command): void {
  program
    .command("inspect <path>")
    .description("a member's data folder, or a backup, in words; changes nothing")
    .option("--entries <n>", "how many of the newest log entries are listed", wholeNumber, 100)
    .action(async (path: string, given: { readonly entries: number }, command: Command) => {
      const lines = await inspect(path, given.entries);
      console.log(isJson(command) ? asJson(lines) : lines.join("\n"));
    });
  program
    .command("options")
    .description("all options of serve, with defaults and limits")
    .option("--markdown", "as a table for a document")
    .action((given: { readonly markdown?: true }, command: Command) => {
      if (isJson(command)) console.log(asJson(optionNames.map(optionFacts)));
      else if (given.markdown === true) console.log(optionsAsMarkdown());
      else console.log(optionNames.map((name) => `--${flagOf(name)}\n    ${optionInWords(name)}`).join("\n"));
    });
}

async function inspect(path: string, entriesMax: number): Promise<readonly string[]> {
  if (!existsSync(path)) throw new CommandFailure(exitCodes.notFound, `There is no ${path}.`);
  // Loaded only here: the other commands need no storage.
  const { inspectBackup, inspectFolder } = await import("../storage/inspect.ts");
  const { StorageRefusal } = await import("../storage/refusal.ts");
  try {
    if (!statSync(path).isDirectory()) return await inspectBackup(path);
    return await inspectFolder({ dir: path, entriesMax });
  } catch (error) {
    if (error instanceof StorageRefusal) throw new CommandFailure(exitCodes.failed, `${error.message}.`);
    throw error;
  }
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ readonly output: string }>().output === "json";
}

function optionFacts(name: (typeof optionNames)[number]): unknown {
  const { shownDefault, limits, help } = options[name];
  return { name, flag: `--${flagOf(name)}`, variable: variableOf(name), default: shownDefault, limits, help };
}
