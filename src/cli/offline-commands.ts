/** Commands that need no running member. */

import { existsSync, statSync } from "node:fs";
import { InvalidArgumentError, type Command } from "commander";
import { flagOf, optionNames, options, variableOf } from "../config/options.ts";
import { optionInWords, optionsAsMarkdown } from "../config/render-options.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import { asJson } from "./output.ts";

export function addOfflineCommands(program: Command): void {
  program
    .command("inspect <dir>")
    .description("a member's data folder in words; changes nothing")
    .option("--entries <n>", "how many of the newest log entries are listed", wholeNumber, 100)
    .action(async (dir: string, given: { readonly entries: number }, command: Command) => {
      const lines = await inspect(dir, given.entries);
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

async function inspect(dir: string, entriesMax: number): Promise<readonly string[]> {
  if (!existsSync(dir) || !statSync(dir).isDirectory())
    throw new CommandFailure(exitCodes.notFound, `There is no folder ${dir}.`);
  // Loaded only here: the other commands need no storage.
  const { inspectFolder } = await import("../storage/inspect.ts");
  const { StorageRefusal } = await import("../storage/refusal.ts");
  try {
    return await inspectFolder({ dir, entriesMax });
  } catch (error) {
    if (error instanceof StorageRefusal) throw new CommandFailure(exitCodes.failed, `${error.message}.`);
    throw error;
  }
}

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ readonly output: string }>().output === "json";
}

function optionFacts(name: (typeof optionNames)[number]): unknown {
  const { shownDefault, limits, help } = options[name];
  return { name, flag: `--${flagOf(name)}`, variable: variableOf(name), default: shownDefault, limits, help };
}
