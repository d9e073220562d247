/** `rollcall serve`: one member in the foreground. Its flags are the options table. */

import { Option, type Command } from "commander";
import { flagOf, optionNames, options, type OptionName } from "../config/options.ts";
import { optionInWords } from "../config/render-options.ts";

const helpGroups: readonly (readonly [string, readonly OptionName[]])[] = [
  ["This member:", ["id", "data", "listen", "peerListen", "advertise", "peerAdvertise"]],
  ["The cluster:", ["members", "join", "peerSecretFile", "authTokensFile", "joinTokenFile"]],
  ["Times:", optionNames.filter((name) => name.endsWith("Ms"))],
  ["Limits and sizes:", optionNames.filter((name) => /(?:Bytes|Max|Entries)$/.test(name))],
  ["Logs:", ["logLevel", "logFormat"]],
];

export function addServeCommand(program: Command): void {
  const serve = program
    .command("serve")
    .description("runs one member in the foreground")
    .addOption(
      new Option("--config <FILE>", 'a JSON file with options as keys, such as {"electionMs": 1000}').env(
        "ROLLCALL_CONFIG",
      ),
    )
    .addHelpText(
      "after",
      "\nEvery option can also be set in the environment or in the config file; a flag wins over the environment, which wins over the file.",
    );
  for (const [group, names] of helpGroups) {
    for (const name of names) {
      const flag = new Option(`--${flagOf(name)} <${options[name].placeholder}>`, optionInWords(name));
      serve.addOption(flag.helpGroup(group));
    }
  }
  serve.action(async (given: Partial<Record<OptionName, string>> & { readonly config?: string }) => {
    const { config, ...flags } = given;
    // Loaded only here: the other commands start in a fraction of the time without it.
    const { serveMember } = await import("../main.ts");
    await serveMember({ flags, configPath: config ?? null });
  });
}

/** What the table has and no group shows would be a flag that does not exist. */
export const groupedOptions: readonly OptionName[] = helpGroups.flatMap(([, names]) => names);
