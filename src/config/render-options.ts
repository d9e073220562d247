/** The options table as people read it: a Markdown table for the README. `--help` is the command line's. */

import { flagOf, optionNames, options, variableOf } from "./options.ts";

export function optionsAsMarkdown(): string {
  const rows = optionNames.map((name) => {
    const { shownDefault, limits, help } = options[name];
    const given = [shownDefault === "" ? "" : `\`${shownDefault}\``, limits].filter((part) => part !== "");
    return `| \`--${flagOf(name)}\` | \`${variableOf(name)}\` | ${given.join("; ").replaceAll("|", "\\|")} | ${help} |`;
  });
  return ["| Flag | Variable | Default; limits | What it does |", "|---|---|---|---|", ...rows].join("\n");
}

/** What one option is, as `--help` and `rollcall options` say it. */
export function optionInWords(name: (typeof optionNames)[number]): string {
  const { shownDefault, limits, help } = options[name];
  const facts = [
    ...(shownDefault === "" ? [] : [`default ${shownDefault}`]),
    ...(limits === "" ? [] : [limits]),
    variableOf(name),
  ];
  return `${help} (${facts.join("; ")})`;
}
